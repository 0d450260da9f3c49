"""Take an EVSE out of use for a while."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.models import Booking, BookingRequest, ClosureStep
from bookings.operations import close_evses
from bookings.operations.closure_plan import Outage
from bookings.operations.counter_offer import offered_period
from config.management.booking_command import TIME_HELP, read_period
from config.management.operator_command import OperatorCommand
from depots.models import Evse
from depots.periods import utc_text


class Command(OperatorCommand):
    help = "Close an EVSE; bookings in the closure are moved where that is possible, and cancelled otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("uid", metavar="UID")
        parser.add_argument("--start", required=True, metavar="T", help=TIME_HELP)
        parser.add_argument("--end", required=True, metavar="T")
        parser.add_argument("--reason", default="", metavar="TEXT")
        parser.add_argument(
            "--offer",
            action="store_true",
            help="offer the nearest other time, where there is one, before cancelling",
        )

    def handle(
        self, *args: Any, uid: str, start: str, end: str, reason: str, offer: bool, **options: Any
    ) -> None:
        evse = _evse(uid.strip())
        outage = Outage(evse.depot, frozenset({evse.pk}), read_period(start, end, evse.depot.zone))
        # Nobody looks at a proposal here: what only its charger keeps is moved like the rest, and the answer says so.
        act = close_evses(
            outage=outage,
            reason=reason.strip(),
            leaves_armed=False,
            offers=offer,
            actor=COMMAND,
            now=timezone.now(),
        )
        steps = act.steps.select_related("booking", "evse_after", "offer")
        steps = steps.order_by("booking__starts_at", "booking")
        self.say(
            {
                "closure": act.closures.get().pk,
                "act": act.pk,
                "evse": evse.uid,
                "depot": evse.depot.code,
                "period": act.period.as_json(),
                "reason": act.reason,
                "bookings": [_line(step) for step in steps],
            }
        )


def _evse(uid: str) -> Evse:
    rows = Evse.objects.select_related("depot").filter(uid__iexact=uid)
    evse = rows.filter(charger__isnull=False).first()
    if evse is None and rows.filter(depot__is_mirror=True).exists():
        raise CommandError(f"{uid} stands at a partner's depot; only the partner closes it.")
    if evse is None:
        raise CommandError(f"There is no EVSE {uid}.")
    return evse


def _line(step: ClosureStep) -> dict[str, Any]:
    return {
        "id": step.booking_id,
        "reference": step.booking.reference,
        "outcome": step.outcome,
        "evse_uid": step.evse_after.uid if step.evse_after else None,
        **(_offered(step.booking, step.offer) if step.offer is not None else {}),
    }


def _offered(booking: Booking, offer: BookingRequest) -> dict[str, Any]:
    until = booking.decide_until
    return {"period": offered_period(offer).as_json(), "until": utc_text(until) if until else None}
