"""Take an EVSE out of use for a while."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.operations import clear_closure, close_evse
from bookings.operations.close import Proposal
from config.management.booking_command import TIME_HELP, read_period
from config.management.operator_command import OperatorCommand
from depots.models import Evse


class Command(OperatorCommand):
    help = "Close an EVSE; bookings in the closure are moved where that is possible, and cancelled otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("uid", metavar="UID")
        parser.add_argument("--start", required=True, metavar="T", help=TIME_HELP)
        parser.add_argument("--end", required=True, metavar="T")
        parser.add_argument("--reason", default="", metavar="TEXT")

    def handle(self, *args: Any, uid: str, start: str, end: str, reason: str, **options: Any) -> None:
        now = timezone.now()
        evse = _evse(uid.strip())
        period = read_period(start, end, evse.depot.zone)
        closure = close_evse(evse=evse, period=period, reason=reason.strip(), actor=COMMAND, now=now)
        done = clear_closure(closure_id=closure.pk, actor=COMMAND, now=now)
        self.say(
            {
                "closure": closure.pk,
                "evse": evse.uid,
                "depot": evse.depot.code,
                "period": closure.period.as_json(),
                "reason": closure.reason,
                "bookings": [_line(proposal) for proposal in done],
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


def _line(proposal: Proposal) -> dict[str, Any]:
    outcome = "stays" if proposal.stays else "moved" if proposal.move_to else "cancelled"
    return {
        "id": proposal.booking.pk,
        "reference": proposal.booking.reference,
        "outcome": outcome,
        "evse_uid": proposal.move_to.uid if proposal.move_to else None,
    }
