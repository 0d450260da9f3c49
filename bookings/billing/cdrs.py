"""Charge detail records: issued once, in the transaction of what they are about, credited and issued anew, never changed.

A session's record is brought to what is due whenever something new is known of it (docs/decisions/0073). Its number is the last
lock that is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from bookings.actors import RULE, SCHEDULER, Actor, ActorKind
from bookings.billing import open_disputes, snapshots
from bookings.billing.errors import RecordSettled
from bookings.billing.flags import NO_PAYER, POWER_SHORT
from bookings.billing.numbers import next_number
from bookings.billing.priced_visits import (
    Kind,
    PricedVisit,
    lacks_payer,
    price_cancellation,
    price_no_show,
    price_reservation,
    price_session,
    price_stay,
)
from bookings.billing.recorded_periods import net_by_rate, periods_of
from bookings.core import lifecycle
from bookings.models import Booking, BookingStatus, ChargeDetailRecord
from bookings.pricing.bills import Bill
from bookings.rules import power_shortage
from bookings.rules.own_slots import session_into, slots_after
from bookings.signals import cdr_issued
from depots.models import ChargingSession

logger = logging.getLogger(__name__)

SERIES = "cdr"
CAME_AFTER_ALL = "The vehicle had come in time: its charger told it later."
CORRECTED = "The charger corrected what it had told of the session."
SHORT_IN_ALL = "Less power than promised was there in another session of the booking."
BOOKING_ENDED = "The booking ended with this session."
# Codes are at most 36 long, credits 39 (OCPI 2.3.0).
CREDIT = "-C"

_OF_RESERVATION: Mapping[str, str] = {
    Kind.SESSION: "reservation %s, used",
    Kind.NO_SHOW: "reservation %s, expired",
    Kind.STAY: "reservation %s, used by the session of the booking before",
    Kind.CANCELLATION: "reservation %s, given back",
}

# Copied to a credit and, but for what is given anew, to a new issue.
_COPIED = (
    "operator_id", "customer_id", "depot_id", "kind", "booking_id", "session_id", "vehicle_id", "plate", "token", "place",
    "starts_at", "ends_at", "charging_tariff_id", "booking_tariff_id", "periods", "energy_wh", "charging_s", "parking_s",
    "currency", "bill", "before_taxes", "taxes", "net_by_rate", "remark", "flags",
)  # fmt: skip


@dataclass(frozen=True)
class Issue:
    """Who issues a record, why where it is no first one, and when."""

    actor: Actor
    at: datetime
    reason: str = ""


def settle_session(session: ChargingSession, *, reason: str = CORRECTED, now: datetime) -> None:
    """Bring the record of an ended session to what is known of it now. The session is locked.

    What a person has credited, or issued with other amounts, stays as they left it.
    """
    visit = price_session(session, now=now)
    _flag_payer(session, is_missing=visit is None and lacks_payer(session))
    if visit is None:
        return
    earlier = _lock_earlier(session, visit.booking)
    if earlier.no_show is not None:
        take_back(earlier.no_show, Issue(SCHEDULER, now, CAME_AFTER_ALL))
    if earlier.latest is not None:
        _bring_up_to_date(earlier.latest, visit, Issue(SCHEDULER, now, reason))
        _correct_stays(session, visit, now)
    elif visit.is_due:
        issue(visit, Issue(SCHEDULER, now))
    if visit.booking is not None:
        _correct_waived(earlier.others, visit.booking, now)


def settle_stay(booking: Booking, session: ChargingSession, *, now: datetime) -> None:
    """Bring the record of a slot in which the session of the booking before went on to what is known now. The booking is over,
    or the session, which has ended, is locked."""
    visit = price_stay(booking, session, now=now)
    if visit is None:
        return
    found = lock_all(ChargeDetailRecord.objects.filter(booking=booking, kind=Kind.STAY, credits=None))
    if found:
        _bring_up_to_date(found[-1], visit, Issue(SCHEDULER, now, CORRECTED))
    elif visit.is_due:
        issue(visit, Issue(SCHEDULER, now))


def _correct_stays(session: ChargingSession, visit: PricedVisit, now: datetime) -> None:
    """Slots of the same truck that its charger told another end of."""
    stays = ChargeDetailRecord.objects.filter(
        kind=Kind.STAY, credits=None, booking__evse=session.evse_id, starts_at__gt=session.started_at
    )
    if visit.booking is None or not stays.exists():
        return
    until = max([visit.ends_at, *stays.values_list("ends_at", flat=True)])
    for booking in slots_after(visit.booking, session, until=until):
        if booking.cdrs.filter(kind=Kind.STAY).exists():
            settle_stay(booking, session, now=now)


def _correct_waived(others: Mapping[int | None, ChargeDetailRecord], booking: Booking, now: datetime) -> None:
    """Records of the booking's other sessions, or of a stay in its slot, which are locked, and were issued before it was known
    how long less power than promised was there in all of them."""
    if not others or not any(power_shortage.happened(booking, booking.ends_at)):
        return
    for session_id, cdr in others.items():
        session = session_into(booking) if session_id is None else ChargingSession.objects.get(pk=session_id)
        if session is None or session.ended_at is None:
            continue
        is_stay = cdr.kind == Kind.STAY
        visit = price_stay(booking, session, now=now) if is_stay else price_session(session, now=now)
        if visit is not None and (POWER_SHORT in visit.flags) != (POWER_SHORT in cdr.flags):
            _bring_up_to_date(cdr, visit, Issue(SCHEDULER, now, SHORT_IN_ALL))


def _bring_up_to_date(latest: ChargeDetailRecord, visit: PricedVisit, by: Issue) -> None:
    if _was_settled_by_a_person(latest):
        if not _says(latest, visit):
            logger.warning("%s was settled by a person; what its charger told since is left out", latest)
        return
    is_credited = hasattr(latest, "credited_by")
    if not is_credited and _says(latest, visit):
        return
    if not visit.is_due:
        if not is_credited:
            take_back(latest, by)
        return
    if not is_credited:
        credit(latest, by)
    issue(visit, by, replaces=latest)


class _Earlier(NamedTuple):
    """What stands of a no-show by which the booking had ended, and the session's latest record, credited or not; the latest of
    each other session of the booking, by its id, and of a stay under None."""

    no_show: ChargeDetailRecord | None
    latest: ChargeDetailRecord | None
    others: dict[int | None, ChargeDetailRecord]


def _lock_earlier(session: ChargingSession, booking: Booking | None) -> _Earlier:
    of = Q(session=session)
    if booking is not None:
        of |= Q(booking=booking, kind__in=[Kind.SESSION, Kind.STAY])
    if booking is not None and booking.status == BookingStatus.NO_SHOW:
        of |= Q(booking=booking, kind=Kind.NO_SHOW, credited_by=None)
    found = lock_all(ChargeDetailRecord.objects.filter(of, credits=None))
    no_shows = [cdr for cdr in found if cdr.kind == Kind.NO_SHOW and not hasattr(cdr, "credited_by")]
    by_session = {cdr.session_id: cdr for cdr in found if cdr.kind != Kind.NO_SHOW}
    latest = by_session.pop(session.pk, None)
    return _Earlier(next(iter(no_shows), None), latest, by_session)


def _flag_payer(session: ChargingSession, *, is_missing: bool) -> None:
    """For a person to find out whose card it was; once its owner is known, what its charger tells anew is billed."""
    if is_missing != (NO_PAYER in session.flags):
        others = [flag for flag in session.flags if flag != NO_PAYER]
        session.flags = [*others, NO_PAYER] if is_missing else others
        session.save(update_fields=["flags"])


def _was_settled_by_a_person(cdr: ChargeDetailRecord) -> bool:
    """Issued or credited by one. What was credited since nothing was due by then is none of it."""
    by = [
        cdr.issued_by_kind,
        cdr.credited_by.issued_by_kind if hasattr(cdr, "credited_by") else ActorKind.BERTH,
    ]
    return any(kind != ActorKind.BERTH for kind in by)


def issue_no_show(booking: Booking, *, now: datetime) -> ChargeDetailRecord | None:
    """What not coming costs; None where it costs nothing, or the timeline says that the fee is waived. The booking is locked."""
    if booking.events.filter(kind="waived").exists():
        return None
    visit = price_no_show(booking)
    return issue(visit, Issue(SCHEDULER, now)) if visit is not None and visit.is_due else None


def issue_cancellation(booking: Booking, *, at: datetime, now: datetime) -> ChargeDetailRecord | None:
    """What cancelling late, at that moment, costs; None where it costs nothing, or less power than promised was announced for
    its slot: that is waived, with the evidence. The booking is locked."""
    visit = price_cancellation(booking, at=at)
    if visit is None or not visit.is_due:
        return None
    if seen := list(power_shortage.announced(booking, booking.period)):
        told = [{"why": power_shortage.WHY, **limit.as_json()} for limit in seen]
        detail = {"fee": "late_cancellation_fee", "why": power_shortage.WHY, "seen": told}
        lifecycle.record(booking, kind="waived", actor=RULE, at=now, detail=detail)
        return None
    return issue(visit, Issue(SCHEDULER, now))


def issue_given_back(booking: Booking, *, now: datetime) -> ChargeDetailRecord | None:
    """What a reservation costs that is given back now; None where it costs nothing. The booking is locked."""
    visit = price_reservation(booking, at=now)
    return issue(visit, Issue(SCHEDULER, now)) if visit is not None and visit.is_due else None


def issue(visit: PricedVisit, by: Issue, *, replaces: ChargeDetailRecord | None = None) -> ChargeDetailRecord:
    """The record of a visit as it is priced, with the next number of its operator."""
    booking, session, use = visit.booking, visit.session, visit.use
    token = visit.owned_token
    vehicle = booking.vehicle if booking is not None else token.vehicle if token is not None else None
    cdr = ChargeDetailRecord(
        operator=visit.depot.operator,
        customer=visit.customer,
        depot=visit.depot,
        kind=visit.kind,
        booking=booking,
        session=session,
        vehicle=vehicle,
        plate=(booking.plate if booking is not None else "")
        or (vehicle.plate if vehicle is not None else ""),
        token=snapshots.token_of(visit.customer, booking, session, token),
        place=snapshots.place_of(visit.depot, visit.evse),
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        charging_tariff_id=visit.tariffs.charging_id if use is not None else None,
        booking_tariff_id=visit.tariffs.booking_id,
        periods=periods_of(visit),
        energy_wh=use.energy_wh if use is not None else 0,
        charging_s=use.charging_s if use is not None else 0,
        parking_s=use.parking_s if use is not None else 0,
        remark=_remark(visit),
        flags=list(dict.fromkeys(visit.flags)),
        replaces=replaces,
        **_amounts(visit.bill),
    )
    return _issue(cdr, by)


def credit(cdr: ChargeDetailRecord, by: Issue) -> ChargeDetailRecord:
    """Take a locked record back as a whole: all it says, its total below zero. Raises RecordSettled for a credit, and for
    what was credited already."""
    check_open(cdr)
    copied: dict[str, Any] = {name: getattr(cdr, name) for name in _COPIED}
    credit_of = ChargeDetailRecord(**copied, credits=cdr)
    credit_of.before_taxes, credit_of.taxes = -cdr.before_taxes, -cdr.taxes
    credit_of.net_by_rate = [[rate, _negative(net)] for rate, net in cdr.net_by_rate]
    credit_of.code = cdr.code + CREDIT
    return _issue(credit_of, by)


def take_back(
    cdr: ChargeDetailRecord, by: Issue, *, answer: str = open_disputes.CREDITED
) -> ChargeDetailRecord:
    """Credit a locked record that nothing replaces: what is disputed of it is settled with that. Raises RecordSettled."""
    credit_of = credit(cdr, by)
    open_disputes.settle_with(cdr, answer=answer, actor=by.actor, now=by.at)
    return credit_of


def reissue(cdr: ChargeDetailRecord, bill: Bill, by: Issue) -> ChargeDetailRecord:
    """The same record with other amounts, in place of one that was credited."""
    copied: dict[str, Any] = {name: getattr(cdr, name) for name in _COPIED}
    return _issue(ChargeDetailRecord(**(copied | _amounts(bill)), replaces=cdr), by)


def lock(cdr: ChargeDetailRecord) -> ChargeDetailRecord:
    """The row as it is, for who will credit it; whether it was credited is read once it is locked."""
    return lock_all(ChargeDetailRecord.objects.filter(pk=cdr.pk))[0]


def lock_all(rows: QuerySet[ChargeDetailRecord]) -> list[ChargeDetailRecord]:
    """The same of several, by key. All that one transaction will credit are locked before the first number is taken: who
    has locked another of them may be waiting for that."""
    locked = rows.select_for_update(no_key=True, of=("self",)).order_by("pk").values_list("pk", flat=True)
    found = ChargeDetailRecord.objects.filter(pk__in=list(locked)).order_by("pk")
    return list(found.select_related("credited_by", "operator"))


def check_open(cdr: ChargeDetailRecord) -> None:
    """Raises RecordSettled unless the record stands."""
    if cdr.is_credit:
        raise RecordSettled(f"{cdr.code} is a credit itself.")
    if hasattr(cdr, "credited_by"):
        raise RecordSettled(f"{cdr.code} was credited already.")


def _issue(cdr: ChargeDetailRecord, by: Issue) -> ChargeDetailRecord:
    cdr.issued_at, cdr.reason = by.at, by.reason[:300]
    for name, value in by.actor.columns("issued_by").items():
        setattr(cdr, name, value)
    cdr.number = next_number(cdr.operator_id, SERIES)
    cdr.code = cdr.code or _code(cdr)
    cdr.save(force_insert=True)
    if cdr.replaces is not None:
        open_disputes.follow_new_issue(cdr, actor=by.actor, now=by.at)
    cdr_issued.send(sender=ChargeDetailRecord, cdr=cdr, at=by.at)
    return cdr


def _code(cdr: ChargeDetailRecord) -> str:
    """`NLLPK-00000042`: no two operators give the same."""
    operator = cdr.operator
    return f"{operator.country_code}{operator.cpo_party_id or operator.pk}-{cdr.number:08d}".upper()


def _amounts(bill: Bill) -> dict[str, Any]:
    return {
        "currency": bill.currency,
        "bill": bill.to_json(),
        "before_taxes": bill.total.before_taxes,
        "taxes": bill.total.tax,
        "net_by_rate": net_by_rate(bill),
    }


def _says(cdr: ChargeDetailRecord, visit: PricedVisit) -> bool:
    """Whether the record has what is known by now; where its periods were cut makes no difference. Of readings that were thinned
    since, what it comes to by the hour is no longer news: only another end, or other energy, is."""
    use = visit.use
    if visit.session is not None and visit.session.thinned_at is not None and use is not None:
        return (cdr.energy_wh, cdr.starts_at, cdr.ends_at, cdr.customer_id) == (
            use.energy_wh, visit.starts_at, visit.ends_at, visit.customer.pk,
        )  # fmt: skip
    measured = (use.energy_wh, use.charging_s, use.parking_s) if use is not None else (0, 0, 0)
    return (
        (cdr.energy_wh, cdr.charging_s, cdr.parking_s) == measured
        and (cdr.starts_at, cdr.ends_at) == (visit.starts_at, visit.ends_at)
        and cdr.bill == visit.bill.to_json()
        and cdr.customer_id == visit.customer.pk
    )


def _remark(visit: PricedVisit) -> str:
    if visit.booking is None:
        return "without a booking"
    if visit.booking.is_reservation:
        return _OF_RESERVATION[visit.kind] % visit.booking.reference
    words: Mapping[str, str] = {
        Kind.SESSION: "booking %s, used",
        Kind.NO_SHOW: "no-show of booking %s",
        Kind.STAY: "booking %s, used by the session of the booking before",
        Kind.CANCELLATION: "cancellation of booking %s, too late to be free",
    }
    return words[visit.kind] % visit.booking.reference


def _negative(net: str) -> str:
    return net[1:] if net.startswith("-") else f"-{net}"
