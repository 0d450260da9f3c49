"""What a session, a no-show or a late cancellation costs, by the tariffs its booking keeps or, without one, those in force."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db.models import Q

from bookings.actors import ActorKind
from bookings.billing.charging_periods import MeteredUse, metered_use
from bookings.billing.flags import OTHER_CURRENCY, POWER_SHORT
from bookings.billing.reserved_periods import expired_reservation, reservation_alone, with_reservation
from bookings.models import Booking, BookingStatus, ChargeDetailRecord, Token
from bookings.operations.charge import is_failed_try
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import ElementUse, TariffContent, TariffElement
from bookings.pricing.visits import BookedSlot, BookingOutcome, Visit
from bookings.rules import configuration, power_shortage
from bookings.rules.identification import identify
from bookings.rules.own_slots import slots_after
from bookings.rules.tariff_contents import contents
from depots.models import ChargingSession, Depot, Evse, Organisation
from depots.token_numbers import normalise

Kind = ChargeDetailRecord.Kind


@dataclass(frozen=True)
class AppliedTariffs:
    """Ids of versions and what they say; a booking's tariff that is in another currency is left out."""

    charging_id: int | None = None
    booking_id: int | None = None
    charging: TariffContent | None = None
    booking: TariffContent | None = None
    flags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.charging is not None or self.booking is not None


@dataclass(frozen=True)
class PricedVisit:
    """All a record is made of. `slot` is the booking's part in it, `use` the session's."""

    kind: Kind
    bill: Bill
    tariffs: AppliedTariffs
    depot: Depot
    customer: Organisation
    starts_at: datetime
    ends_at: datetime
    booking: Booking | None = None
    session: ChargingSession | None = None
    evse: Evse | None = None
    use: MeteredUse | None = None
    slot: BookedSlot | None = None
    owned_token: Token | None = None
    flags: tuple[str, ...] = field(default=())

    @property
    def is_due(self) -> bool:
        """A record of nothing is issued only of a session that took place."""
        took_place = self.session is not None and not is_failed_try(self.session)
        return took_place or bool(self.bill.total.before_taxes or self.bill.total.tax)


def price_session(session: ChargingSession, *, now: datetime) -> PricedVisit | None:
    """Of a session that has ended, or as it stands while it runs. None without a tariff, or where nobody knows whose it is.

    Of several sessions of one booking the first that is billed carries what the booking costs, and the one that runs over
    its overtime. A failed try carries it only once the booking is over.
    """
    rows = Booking.objects.select_related("fleet", "depot__operator", "vehicle")
    booking = rows.filter(visits__session=session).first()
    if booking is not None and not booking.is_ours:
        return None
    token = None if booking is not None else owned_token(session)
    if booking is None and (token is None or session.evse is None):
        return None
    customer = booking.fleet if booking is not None else token.fleet  # type: ignore[union-attr]
    tariffs = of_booking(booking) if booking is not None else _of_walk_in(session, customer)
    if not tariffs:
        return None
    use = metered_use(session, now=now)
    if booking is not None and booking.is_reservation and _carries_fee(booking, session):
        use = with_reservation(use, booking)
    by_booking, is_waived = tariffs.booking, False
    if booking is not None and by_booking is not None:
        is_waived = power_shortage.waives(booking, since=use.starts_at, until=use.ends_at)
        if is_waived or not _carries_fee(booking, session):
            by_booking = _but(by_booking, ElementUse.BOOKING)
    slot = _used(booking, session, use, is_short=is_waived) if booking is not None else None
    depot = booking.depot if booking is not None else session.evse.depot  # type: ignore[union-attr]
    bill = price(Visit(use.use, slot), depot.zone, charging=tariffs.charging, booking=by_booking)
    return PricedVisit(
        kind=Kind.SESSION, bill=bill, tariffs=tariffs, depot=depot, customer=customer, starts_at=use.starts_at,
        ends_at=use.ends_at, booking=booking, session=session, evse=session.evse, use=use, slot=slot, owned_token=token,
        flags=(*use.flags, *tariffs.flags, *([POWER_SHORT] if is_waived else [])),
    )  # fmt: skip


def price_reservation(booking: Booking, *, at: datetime) -> PricedVisit | None:
    """What one costs that is given back at this moment. None without a tariff of charging, which prices reservations too."""
    return _price_reservation(booking, Kind.CANCELLATION, reservation_alone(booking, until=at))


def price_no_show(booking: Booking) -> PricedVisit | None:
    """None without a tariff of bookings, or for a reservation of charging."""
    if booking.is_reservation:
        return _price_reservation(booking, Kind.NO_SHOW, expired_reservation(booking))
    slot = BookedSlot(booking.period, BookingOutcome.NO_SHOW)
    return _price_slot(booking, Kind.NO_SHOW, slot, booking.starts_at, booking.ends_at)


def price_stay(booking: Booking, session: ChargingSession, *, now: datetime) -> PricedVisit | None:
    """What its slot costs a truck that charged on in it by a session of the booking before. None without a tariff of bookings."""
    use = metered_use(session, now=now)
    since = max(booking.starts_at, use.starts_at)
    is_short = power_shortage.waives(booking, since=since, until=use.ends_at)
    slot = _used(booking, session, use, is_short=is_short)
    ends_at = max(slot.ended_at or booking.starts_at, booking.starts_at)
    is_free = is_short or not _carries_fee(booking)
    visit = _price_slot(booking, Kind.STAY, slot, booking.starts_at, ends_at, is_free=is_free)
    return replace(visit, flags=(*visit.flags, POWER_SHORT)) if visit is not None and is_short else visit


def price_cancellation(booking: Booking, *, at: datetime) -> PricedVisit | None:
    """What giving it up at this moment costs, where that is too late to be free. None without a tariff of bookings."""
    slot = BookedSlot(booking.period, BookingOutcome.CANCELLED)
    return _price_slot(booking, Kind.CANCELLATION, slot, at, at)


def of_booking(booking: Booking) -> AppliedTariffs:
    """Those it was made under; what a booked slot costs is no price of a reservation."""
    charging_id = booking.charging_tariff_id
    booking_id = booking.booking_tariff_id if not booking.is_reservation else None
    said = contents([pk for pk in (charging_id, booking_id) if pk is not None])
    return _without_mixing(charging_id, booking_id, said.get(charging_id or 0), said.get(booking_id or 0))


def owned_token(session: ChargingSession) -> Token | None:
    """Of who came without a booking: the card's one owner here, of several the only one that lets it be used."""
    shown = identify(session.token_uid, session.token_type)
    if not shown.number:
        return None
    kept = Token.objects.filter(uid__card__in=shown.spellings).select_related("fleet", "vehicle")
    rows = [token for token in kept if (token.fleet_id, normalise(token.uid, token.type)) in shown.usable]
    owners = {token.fleet_id for token in rows}
    if len(owners) > 1:
        owners &= set(shown.owners)
    mine = [token for token in rows if token.fleet_id in owners]
    return min(mine, key=lambda token: (token.is_blocked, token.pk)) if len(owners) == 1 else None


def lacks_payer(session: ChargingSession) -> bool:
    """Whether it charged at a price, without a booking, and its card has no owner here, or several."""
    if (
        session.evse is None
        or is_failed_try(session)
        or Booking.objects.filter(visits__session=session).exists()
    ):
        return False
    if owned_token(session) is not None:
        return False
    held = configuration.current(session.evse.depot_id)
    return held.tariffs_for(0, session.evse.pk, 0, at=session.started_at).charging is not None


def _price_slot(
    booking: Booking,
    kind: Kind,
    slot: BookedSlot,
    starts_at: datetime,
    ends_at: datetime,
    *,
    is_free: bool = False,
) -> PricedVisit | None:
    """`is_free`: but for what the booking itself costs."""
    tariffs = of_booking(booking)
    if tariffs.booking is None:
        return None
    booked = _but(tariffs.booking, ElementUse.BOOKING) if is_free else tariffs.booking
    bill = price(Visit(booking=slot), booking.depot.zone, booking=booked)
    return PricedVisit(
        kind=kind, bill=bill, tariffs=tariffs, depot=booking.depot, customer=booking.fleet, starts_at=starts_at,
        ends_at=ends_at, booking=booking, evse=booking.evse, slot=slot, flags=tariffs.flags,
    )  # fmt: skip


def _price_reservation(booking: Booking, kind: Kind, use: MeteredUse) -> PricedVisit | None:
    tariffs = of_booking(booking)
    if tariffs.charging is None:
        return None
    bill = price(Visit(use.use), booking.depot.zone, charging=tariffs.charging)
    return PricedVisit(
        kind=kind, bill=bill, tariffs=tariffs, depot=booking.depot, customer=booking.fleet, starts_at=use.starts_at,
        ends_at=use.ends_at, booking=booking, evse=booking.evse, use=use, flags=tariffs.flags,
    )  # fmt: skip


def _of_walk_in(session: ChargingSession, customer: Organisation) -> AppliedTariffs:
    """No option was booked, so none has a say."""
    assert session.evse is not None
    held = configuration.current(session.evse.depot_id)
    charging = held.tariffs_for(0, session.evse.pk, customer.pk, at=session.started_at).charging
    return AppliedTariffs(charging.pk, None, charging.content) if charging is not None else AppliedTariffs()


def _without_mixing(
    charging_id: int | None,
    booking_id: int | None,
    charging: TariffContent | None,
    booking: TariffContent | None,
) -> AppliedTariffs:
    if charging is not None and booking is not None and charging.currency != booking.currency:
        return AppliedTariffs(charging_id, None, charging, None, (OTHER_CURRENCY,))
    return AppliedTariffs(charging_id, booking_id, charging, booking)


def _used(booking: Booking, session: ChargingSession, use: MeteredUse, *, is_short: bool) -> BookedSlot:
    """Where no clock was set nobody can say that it ran over, who had less power than promised needed the time, and what
    follows in a slot of its own is that one's."""
    is_counted = use.has_clock and not is_short
    ended_at = use.ends_at if is_counted else min(use.ends_at, booking.ends_at)
    if ended_at > booking.ends_at and (own := slots_after(booking, session, until=ended_at)):
        ended_at = own[0].starts_at
    late_stop = timedelta(minutes=booking.terms.late_stop_min)
    return BookedSlot(booking.period, BookingOutcome.USED, ended_at=ended_at, late_stop=late_stop)


def _carries_fee(booking: Booking, session: ChargingSession | None = None) -> bool:
    """Whether no record of another session, or of a stay where this is none, has ever carried what the booking itself costs. One
    that a person credited since counts: the fee was let off with it. One that Berth took back does not: its session costs
    nothing, or less in another record."""
    is_kept = session is not None and session.ended_at is not None and is_failed_try(session)
    if booking.status == BookingStatus.CHARGING and is_kept:
        return False
    this = Q(session=session) if session is not None else Q(kind=Kind.STAY)
    others = (
        ChargeDetailRecord.objects.filter(booking=booking, kind__in=[Kind.SESSION, Kind.STAY], credits=None)
        .exclude(this)
        .exclude(credited_by__issued_by_kind=ActorKind.BERTH)
    )
    return not any(
        any(line["use"] == ElementUse.BOOKING for line in bill["lines"])
        or any("reserved_s" in period for period in periods)
        for bill, periods in others.values_list("bill", "periods")
    )


def _but(content: TariffContent, use: ElementUse) -> TariffContent:
    """Elements of a use say nothing; the others keep their places."""
    silent = (
        TariffElement((), element.restrictions, element.use) if element.use == use else element
        for element in content.elements
    )
    return TariffContent(
        content.currency, tuple(silent), content.min_price, content.max_price, content.tax_included
    )
