"""What fleet and depot say about a record: a waiver with its reason, a dispute, its answer. All stand in the booking's timeline.

A record is never changed. An accepted dispute credits it: of a line, it is issued anew without the line; of the whole, it is
not. Whoever acts says which version of the record they saw, and is refused where somebody was faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.billing.cdrs import Issue, check_open, credit, lock, reissue, take_back
from bookings.billing.errors import DisputedAlready, LineUnknown, ReasonMissing, RecordSettled
from bookings.billing.open_disputes import close
from bookings.billing.reduced_bills import without_line
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_booking
from bookings.errors import ChangedMeanwhile
from bookings.models import Booking, ChargeDetailRecord, Dispute
from bookings.pricing.bills import Bill

Outcome = Dispute.Outcome
WAIVED = "The depot waived the record."


def version_of_record(cdr: ChargeDetailRecord) -> int:
    """Rises with whatever is said about it or becomes of it; two queries."""
    answered = sum(
        1 if outcome == Outcome.OPEN else 2 for outcome in cdr.disputes.values_list("outcome", flat=True)
    )
    return 1 + answered + (1 if hasattr(cdr, "credited_by") else 0)


def waive(
    *, cdr_id: int, reason: str, seen_version: int | None = None, actor: Actor, now: datetime
) -> ChargeDetailRecord:
    """The depot lets the customer off: the record is credited, with the reason. Gives the credit.

    Raises ReasonMissing, RecordSettled or ChangedMeanwhile.
    """
    reason = _given(reason)
    with _locked(cdr_id, seen_version) as (cdr, booking):
        taken_back = take_back(cdr, Issue(actor, now, reason), answer=WAIVED)
        _tell(booking, "fee_waived", cdr, actor, now, reason=reason, credit=taken_back.code)
    return taken_back


def raise_dispute(
    *,
    cdr_id: int,
    line: int | None = None,
    reason: str,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Dispute:
    """The customer says that a line (counted from 0), or the whole record, is not right.

    Raises ReasonMissing, RecordSettled, LineUnknown, DisputedAlready or ChangedMeanwhile.
    """
    reason = _given(reason)
    with _locked(cdr_id, seen_version) as (cdr, booking):
        check_open(cdr)
        if line is not None and not 0 <= line < len(cdr.bill["lines"]):
            raise LineUnknown(f"{cdr.code} has no such line.")
        if cdr.disputes.filter(outcome=Outcome.OPEN, line=line).exists():
            raise DisputedAlready("This is disputed already, and not answered yet.")
        dispute = Dispute.objects.create(
            cdr=cdr, line=line, reason=reason, raised_at=now, **actor.columns("raised_by")
        )
        _tell(booking, "disputed", cdr, actor, now, reason=reason, line=line)
    return dispute


def answer_dispute(
    *,
    dispute_id: int,
    accepts: bool,
    answer: str,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Dispute:
    """The depot's answer: what is accepted is credited, what is rejected stands.

    Raises ReasonMissing for a rejection without words, RecordSettled where it was answered before, or ChangedMeanwhile.
    """
    answer = answer.strip()[:500] if accepts else _given(answer)
    cdr_id = Dispute.objects.values_list("cdr_id", flat=True).get(pk=dispute_id)
    with _locked(cdr_id, seen_version) as (cdr, booking):
        dispute = Dispute.objects.select_for_update(no_key=True).get(pk=dispute_id)
        if dispute.cdr_id != cdr_id:  # a correction came first, and it went with it
            raise ChangedMeanwhile("The record was issued anew meanwhile.")
        if dispute.outcome != Outcome.OPEN:
            raise RecordSettled("The dispute was answered already.")
        close(dispute, Outcome.ACCEPTED if accepts else Outcome.REJECTED, answer, actor, now)
        # Where the charger's own correction came first there is nothing left to credit.
        if accepts and not hasattr(cdr, "credited_by"):
            _give_way(cdr, dispute, Issue(actor, now, f"Dispute accepted: {dispute.reason}"))
        kind = "dispute_accepted" if accepts else "dispute_rejected"
        _tell(booking, kind, cdr, actor, now, reason=answer, line=dispute.line)
    return dispute


@contextmanager
def _locked(cdr_id: int, seen_version: int | None) -> Iterator[tuple[ChargeDetailRecord, Booking | None]]:
    """The record as it is, its booking locked before it. Raises ChangedMeanwhile."""
    known = ChargeDetailRecord.objects.get(pk=cdr_id)
    with calendars.one_operation():
        booking = lock_booking(known.booking_id) if known.booking_id is not None else None
        cdr = lock(known)
        if seen_version is not None and seen_version != version_of_record(cdr):
            raise ChangedMeanwhile("Somebody has disputed, answered or credited this record meanwhile.")
        yield cdr, booking


def _give_way(cdr: ChargeDetailRecord, dispute: Dispute, by: Issue) -> None:
    """Credit the record, and issue what is left of it: of a session always, else where something is."""
    left = without_line(Bill.from_json(cdr.bill), dispute.line) if dispute.line is not None else None
    if left is not None and (cdr.session_id is not None or left.total.after_taxes):
        credit(cdr, by)
        reissue(cdr, left, by)
    else:
        take_back(cdr, by)


def _tell(
    booking: Booking | None, kind: str, cdr: ChargeDetailRecord, actor: Actor, now: datetime, **said: Any
) -> None:
    if booking is not None:
        detail = {
            "record": cdr.code,
            **{name: value for name, value in said.items() if value not in (None, "")},
        }
        lifecycle.record(booking, kind=kind, actor=actor, at=now, detail=detail)


def _given(reason: str) -> str:
    reason = reason.strip()[:300]
    if not reason:
        raise ReasonMissing("Say why: the other side reads it.")
    return reason
