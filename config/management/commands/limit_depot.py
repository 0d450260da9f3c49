"""Limit the power of a depot for a while, as its network operator asks."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.models import ExternalLimit
from bookings.operations import lift_limits, limit_depot
from config.management.booking_command import TIME_HELP, read_option, read_power
from config.management.operator_command import OperatorCommand
from depots.models import Depot
from depots.periods import Period

WRONG_USAGE = 2


class Command(OperatorCommand):
    help = "Limit the power of a depot until a time, or lift all such limits of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("depot", metavar="DEPOT", help="its id in the depot file")
        parser.add_argument("--kw", metavar="N", help="what all its EVSEs together may take")
        parser.add_argument("--from", dest="start", metavar="T", help=f"now when left out; {TIME_HELP}")
        parser.add_argument("--until", dest="end", metavar="T", help=TIME_HELP)
        parser.add_argument("--clear", action="store_true", help="lift every limit that was set so")

    def handle(
        self,
        *args: Any,
        depot: str,
        kw: str | None,
        start: str | None,
        end: str | None,
        clear: bool,
        **options: Any,
    ) -> None:
        now = timezone.now()
        found = Depot.objects.filter(code__iexact=depot.strip()).first()
        if found is None:
            raise CommandError(f"There is no depot {depot}.")
        if clear:
            if kw or start or end:
                raise CommandError(
                    "--clear lifts what was set; it takes no --kw, --from or --until.", returncode=WRONG_USAGE
                )
            self.say(
                {"depot": found.code, "lifted": [_line(limit) for limit in lift_limits(depot=found, now=now)]}
            )
            return
        if kw is None or end is None:
            raise CommandError(
                "Say how much and until when: --kw and --until, or --clear.", returncode=WRONG_USAGE
            )
        starts_at = read_option("from", start, found.zone) if start else now
        ends_at = read_option("until", end, found.zone)
        if ends_at <= starts_at:
            raise CommandError(f"--until: {end} is not after the beginning.")
        limit = limit_depot(
            depot=found, watts=_watts(kw), period=Period(starts_at, ends_at), actor=COMMAND, now=now
        )
        self.say({"depot": found.code, **_line(limit)})


def _watts(text: str) -> int:
    """Raises CommandError. No power at all is a limit, too."""
    return 0 if text.strip() in {"0", "0.0"} else read_power(text, option="kw") or 0


def _line(limit: ExternalLimit) -> dict[str, Any]:
    return {
        "limit": limit.pk,
        "kw": limit.watts / 1000,
        "period": Period(limit.starts_at, limit.ends_at).as_json(),
        "set_by": str(limit.set_by),
    }
