"""What partners and we have of each other, compared when somebody asks: by a job, since it may take minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction

from bookings.errors import ChangedMeanwhile
from bookings.rules.content_version import version_of
from roaming import deviations
from roaming.console.operations import Act, locked_for, note
from roaming.models import Delivery, Partner, PartnerComparison, PartnerEvent
from roaming.ocpi.call_failures import CallFailed
from roaming.outbound import comparison
from roaming.outbound.comparison import Difference, What
from roaming.party_roles import RegistrationError

MOST_KEPT = 1_000
# A job that was killed is begun again by the queue; what is not over by then is not under way any more.
LASTS_AT_MOST = timedelta(hours=1)
IN_WORDS = {
    What.MISSING_THERE: "It does not have it",
    What.DIFFERS_THERE: "It has it otherwise",
    What.UNREADABLE_THERE: "It does not say how it has it",
    What.MISSING_HERE: "We do not have it",
    What.DIFFERS_HERE: "We have it otherwise",
    What.GONE_THERE: "It lists it no more",
}
KINDS = {**dict(Delivery.Kind.choices), "self_billed_record": Delivery.Kind.INVOICE_RECORD.label}
REPAIRS = {
    "send_again": "Send it again",
    "read_again": "Read its list again",
    "by_hand": "Ask the partner: a record is sent once",
}


@dataclass(frozen=True)
class ShownDifference:
    found: Difference

    @property
    def kind(self) -> str:
        return KINDS.get(self.found.kind, self.found.kind)

    @property
    def what(self) -> str:
        return IN_WORDS[self.found.what]

    @property
    def repair(self) -> str:
        return REPAIRS[self.found.repair]


@dataclass(frozen=True)
class ShownComparison:
    """`row` is None where nobody has compared yet."""

    row: PartnerComparison | None
    now: datetime

    @property
    def is_running(self) -> bool:
        return (
            self.row is not None and not self.row.finished_at and self.now - self.row.asked_at < LASTS_AT_MOST
        )

    @property
    def broke_off(self) -> bool:
        return self.row is not None and not self.row.finished_at and not self.is_running

    @cached_property
    def differences(self) -> list[ShownDifference]:
        return [ShownDifference(one) for one in _differences(self.row)] if self.row else []

    @property
    def can_be_repaired(self) -> bool:
        return bool(self.row and self.row.number and not self.row.repaired_at)


def comparison_of(partner: Partner, now: datetime) -> ShownComparison:
    return ShownComparison(PartnerComparison.objects.filter(partner=partner).first(), now)


def comparison_version(partner: Partner) -> int:
    row = PartnerComparison.objects.filter(partner=partner).first()
    shown = [row.asked_at, row.finished_at, row.repaired_at] if row else []
    return version_of(["comparison", partner.pk, partner.state, *shown])


def ask(act: Act) -> None:
    """Compare, by a job (roaming/receivers.py). Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, comparison_version)
        if not partner.is_registered:
            raise ChangedMeanwhile(f"{partner} is not registered.")
        PartnerComparison.objects.update_or_create(
            partner=partner,
            defaults={
                "asked_at": act.now, "done": 0, "total": None, "finished_at": None, "error": "", "number": 0, "differences": [],
                "repaired_at": None,
            },
        )  # fmt: skip
        note(act, PartnerEvent.Kind.COMPARED)


def carry_out(*, partner_id: int, clock: Callable[[], datetime]) -> None:
    """The comparison that was asked for last, unless it is over. One that is asked for meanwhile takes its place."""
    asked = PartnerComparison.objects.filter(partner=partner_id, finished_at=None).first()
    if asked is None:
        return
    row = PartnerComparison.objects.filter(partner=partner_id, asked_at=asked.asked_at)

    def keep(**fields: Any) -> None:
        row.update(**fields)
        deviations.tell_of(partner_id)

    try:
        found = comparison.compare(
            partner_id=partner_id, now=clock(), progress=lambda done, of: keep(done=done, total=of)
        )
    except (RegistrationError, CallFailed) as failure:
        keep(error=str(failure)[:300].replace("\x00", ""), finished_at=clock())
        return
    kept = [asdict(one) for one in found[:MOST_KEPT]]
    keep(number=len(found), differences=kept, finished_at=clock())


def repair(act: Act) -> None:
    """Send and read again what differed. Raises ChangedMeanwhile."""
    with transaction.atomic():
        partner = locked_for(act, comparison_version)
        shown = comparison_of(partner, act.now)
        if shown.row is None or not shown.can_be_repaired:
            raise ChangedMeanwhile("There is nothing to repair.")
        if not partner.is_registered:
            raise ChangedMeanwhile(f"{partner} is not registered.")
        comparison.repair(partner_id=partner.pk, differences=_differences(shown.row), now=act.now)
        PartnerComparison.objects.filter(pk=shown.row.pk).update(repaired_at=act.now)
        note(act, PartnerEvent.Kind.REPAIRED, f"{shown.row.number} differences")


def _differences(row: PartnerComparison) -> list[Difference]:
    return [
        Difference(**{**one, "what": What(one["what"]), "fields": tuple(one["fields"])})
        for one in row.differences
    ]
