"""May this token charge here now? The one answer behind Authorize and behind every start of a transaction.

It is the second lock: it holds where a charger keeps no reservations, forgets them, or never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property, partial

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from bookings.core import occupancy
from bookings.enforcement.state import AT_CHARGER
from bookings.models import Booking, BookingOption, BookingStatus, BookingToken, Occupancy, TermsOverride
from bookings.rules import owner_checks
from bookings.rules.agreements import guests_admit
from bookings.rules.identification import fellows, identify, needs_secret
from bookings.rules.left_evses import just_left
from bookings.rules.terms import LONGEST_LEAD, Terms, WalkIn
from depots.gate import Authorization, HolderReference, OwnerQuestion
from depots.models import Charger, Depot, Evse
from depots.periods import Period
from depots.token_numbers import normalise

# By hand: it is asked with every batch of statuses.
_AWAITED = """
    SELECT evse_id FROM bookings_booking
    WHERE evse_id = ANY (%(evses)s::bigint[]) AND status = 'confirmed' AND enforcement = ANY (%(keeping)s::text[])
    UNION
    SELECT armed_evse_id FROM bookings_booking
    WHERE armed_evse_id = ANY (%(evses)s::bigint[]) AND status = 'confirmed' AND enforcement = ANY (%(keeping)s::text[])
    UNION
    SELECT session.evse_id FROM bookings_booking AS booking
    JOIN depots_chargingsession AS session ON session.id = booking.session_id
    WHERE booking.status = 'charging' AND session.evse_id = ANY (%(evses)s::bigint[])
    UNION
    SELECT evse_id FROM bookings_occupancy
    WHERE evse_id = ANY (%(evses)s::bigint[]) AND kind = 'booking' AND span @> %(now)s::timestamptz
"""
UNBOOKED = Authorization(allowed=True)
USABLE = (BookingStatus.CONFIRMED, BookingStatus.CHARGING)
# Who comes this much too early is told "not yet" instead of being taken for a walk-in.
SOON = timedelta(hours=1)
LONGEST_CACHED = timedelta(minutes=5)


def may_charge(
    *,
    charger: Charger,
    evse: Evse | None,
    token_uid: str,
    token_type: str = "",
    group: str = "",
    now: datetime,
) -> Authorization:
    """Called by depots.gate. `evse` is None for an Authorize, which names none: then the charger's EVSEs are answered for.

    A token may be known by several types at different chargers, so its type says how its number is read (depots.token_numbers)
    and no more.
    """
    card = _Card(token_uid, token_type, group)
    slots = _Slots(charger, now)
    opened, unnamed = slots.opened_by(card)
    answer = _judged(slots, card, opened, evse)
    by_booking = _opened_by_word(slots, card, opened, unnamed, evse, answer)
    needed = _owner_check(slots, card, answer, opened, [booking for booking, _ in by_booking])
    if needed is None:
        return replace(answer, holds_until=slots.same_until())
    answer = replace(answer, holds_until=now)
    opens = _by_reference(by_booking, now)
    question = OwnerQuestion(
        charger.pk,
        evse.pk if evse else None,
        token_uid,
        token_type,
        card.token.number,
        needed.owner_ids,
        needed.holders,
        frozenset(opens),
        needed.is_for_booking,
    )
    by_word = partial(owner_checks.as_answered, answer, needed, question, slots.evses, opens)
    word = owner_checks.heard_of(question, now=now)
    if word is not None:
        return by_word(word)
    return replace(owner_checks.unanswered(answer, needed), question=question, by_word=by_word)


def _judged(slots: _Slots, card: _Card, opened: list[Booking], evse: Evse | None) -> Authorization:
    """What holds for a card that opens these bookings."""
    mine, left = [b for b in opened if b.status in USABLE], slots.left_early(opened)
    if evse is not None:
        return _at_evse(slots, card, mine, left, evse)
    return _somewhere(slots, card, mine, left)


def _opened_by_word(
    slots: _Slots,
    card: _Card,
    opened: list[Booking],
    unnamed: list[Booking],
    evse: Evse | None,
    answer: Authorization,
) -> list[tuple[Booking, Authorization]]:
    """Bookings that name no token: who may use one its network says by answering with the booking's reference. With what holds
    if it does, unless that is what holds without; of one that was over before its time that names no booking (`_somewhere`)."""
    if not card.uid or answer.reservation_id is not None:
        return []
    judged = [(b, _judged(slots, card, [b, *opened], evse)) for b in unnamed if card.may_be_of(b.fleet_id)]
    return [(b, given) for b, given in judged if given.allowed and given != answer]


def _by_reference(
    by_booking: list[tuple[Booking, Authorization]], now: datetime
) -> dict[HolderReference, Authorization]:
    """What holds if a holder answers with this. Of bookings with one reference the nearest counts."""
    opens: dict[HolderReference, Authorization] = {}
    for booking, given in by_booking:
        for reference in owner_checks.references_of(booking):
            opens.setdefault(reference, replace(given, holds_until=now))
    return opens


def _owner_check(
    slots: _Slots, card: _Card, answer: Authorization, opened: list[Booking], for_booking: list[Booking]
) -> owner_checks.OwnerCheckNeeded | None:
    """Whether whoever issued the token is to be asked. Who has charged in a slot that goes on was let in already."""
    needed = _check_of_answer(slots, card, answer, opened) if card.uid else None
    return owner_checks.also_for(needed, card.token, for_booking)


def _check_of_answer(
    slots: _Slots, card: _Card, answer: Authorization, opened: list[Booking]
) -> owner_checks.OwnerCheckNeeded | None:
    if not answer.allowed:
        # A network's cards may charge here only where others than the operator's own may.
        is_unknown = answer.reason == "unknown_token" and slots.walk_in != WalkIn.OWN
        return owner_checks.OF_UNKNOWN if is_unknown else None
    if answer.reservation_id is None:
        return owner_checks.check_of_walk_in(card.token)
    used = (b for b in opened if b.status in USABLE and b.reservation_id == answer.reservation_id)
    booking = next(used, None)
    return owner_checks.check_of_booking(card.token, booking.fleet_id) if booking else None


def awaited_evses(evse_ids: Sequence[int], *, now: datetime) -> set[int]:
    """Called by depots.gate: EVSEs with a booking that their charger is to keep a place for, that charges, or whose vehicle
    may still stand there. One query."""
    keeping = sorted(AT_CHARGER)
    with connection.cursor() as cursor:
        cursor.execute(_AWAITED, {"evses": list(evse_ids), "keeping": keeping, "now": now})
        return {evse_id for (evse_id,) in cursor.fetchall()}


class _Card:
    """What was presented: whose it is, and which owners let it be used. One query."""

    def __init__(self, uid: str, kind: str, group: str) -> None:
        self.uid, self.token = uid, identify(uid, kind)
        # The secrets of bookings are compared exactly: whoever got one letter wrong has not been told it.
        self.secrets = {name for name in (uid, group) if name}
        self._fellows: set[tuple[int, str]] = set()

    @property
    def is_blocked(self) -> bool:
        return self.token.is_known and not self.token.owners

    def may_be_of(self, network_id: int) -> bool:
        """Whether this network may have issued it: nobody here knows it, or its copy is not blocked."""
        return not self.token.is_known or network_id in self.token.owners

    def may_use(self, booking: Booking, charger: Charger) -> bool:
        """Whether it opens the booking: as a token it names, or as a member of a group it names."""
        if booking.group in self.secrets and needs_secret(booking, charger):
            return True
        return any(
            self.token.opens(named, booking) or self._is_fellow(named, booking)
            for named in booking.tokens.all()
        )

    def meet(self, bookings: Iterable[Booking]) -> None:
        """Learn which of what these bookings name belongs to a group of it that its network has formed: any member opens what
        names another one."""
        if self.token.network_groups:
            self._fellows = fellows(bookings, self.token.network_groups)

    def _is_fellow(self, named: BookingToken, booking: Booking) -> bool:
        return bool(self._fellows) and (booking.fleet_id, normalise(named.uid, named.type)) in self._fellows

    def names(self) -> Q:
        """Of bookings that may be its: by its forms and by the names of its groups. The index of their numbers serves it. And
        those of networks that name nothing."""
        forms = self.token.spellings | self.token.group_spellings
        found = Q(group__in=self.secrets)
        if forms:
            found |= Q(pk__in=BookingToken.objects.filter(uid__card__in=forms).values("booking"))
        if self.token.network_groups:
            found |= Q(fleet__in={owner for owner, _ in self.token.network_groups})
        names_none = Q(fleet__is_partner=True)
        names_none &= Q(~Exists(BookingToken.objects.filter(booking=OuterRef("pk"))))
        return found | names_none


def _at_evse(
    slots: _Slots, card: _Card, mine: list[Booking], left: list[Booking], evse: Evse
) -> Authorization:
    holder = slots.holder(evse.pk)
    for booking in mine:
        if holder is not None and booking.pk != holder:
            continue
        if booking.evse_id == evse.pk or slots.is_alternative(booking, evse):
            if slots.has_begun(booking, evse):
                return _granted(booking)
            return Authorization(allowed=False, reason="not_yet")
    if holder is not None and holder not in {booking.pk for booking in left}:
        return Authorization(allowed=False, reason="blocked" if card.is_blocked else "booked_by_another")
    if slots.is_closed(evse.pk):
        return Authorization(allowed=False, reason="elsewhere")
    for booking in left:
        if booking.evse_id == evse.pk or slots.is_alternative(booking, evse):
            return replace(UNBOOKED, reservation_id=booking.reservation_id)
    return _walk_in(slots, card, is_guest=bool(left))


def _somewhere(slots: _Slots, card: _Card, mine: list[Booking], left: list[Booking]) -> Authorization:
    """Authorize may come long before the start, also as the charger's check of a reservation it was just sent."""
    evses, over = slots.evses, {booking.pk for booking in left}
    free = [e for e in evses if slots.holder(e.pk) in {None, *over} and not slots.is_closed(e.pk)]
    numbers = [e.number for e in free]
    here = [b for b in mine if any(e.pk == b.evse_id for e in evses)]
    if here:
        number = next(e.number for e in evses if e.pk == here[0].evse_id)
        return replace(_granted(here[0]), evse_numbers=[number, *numbers])
    walk_in = _walk_in(slots, card, is_guest=bool(left))
    if not walk_in.allowed:
        return _beside(slots, mine, free) or walk_in
    if not free:
        return Authorization(allowed=False, reason="booked_by_another")
    return Authorization(allowed=True, evse_numbers=None if len(free) == len(evses) else numbers)


def _beside(slots: _Slots, mine: list[Booking], free: list[Evse]) -> Authorization | None:
    """Who is let in for a booking only, and stands at another charger of what was booked, is let in there."""
    for booking in mine:
        numbers = [e.number for e in free if slots.is_alternative(booking, e) and slots.has_begun(booking, e)]
        if numbers:
            return replace(_granted(booking), evse_numbers=numbers)
    return None


def _granted(booking: Booking) -> Authorization:
    return Authorization(allowed=True, group=booking.group, reservation_id=booking.reservation_id)


def _walk_in(slots: _Slots, card: _Card, *, is_guest: bool) -> Authorization:
    """Nobody has booked: the depot's term says who may charge, and whoever has charged in a slot that goes on may.

    A charger that asks for no token decides itself.
    """
    if not card.uid or is_guest:
        return UNBOOKED
    if card.is_blocked:
        return Authorization(allowed=False, reason="blocked")
    admitted = slots.walk_in
    if admitted == WalkIn.ANYBODY:
        return UNBOOKED
    if not card.token.is_known:
        return Authorization(allowed=False, reason="unknown_token")
    if admitted == WalkIn.KNOWN or slots.depot.operator_id in card.token.owners:
        return UNBOOKED
    if admitted == WalkIn.AGREED and slots.admit_guests(card.token.owners):
        return UNBOOKED
    return Authorization(allowed=False, reason="elsewhere")


class _Slots:
    """The bookings around a charger at one moment: whose the EVSEs are, and which of them a token may use. It takes as many
    queries however many there are."""

    def __init__(self, charger: Charger, now: datetime) -> None:
        self.now, self._charger = now, charger
        self.evses = list(charger.evses.all())
        evse_ids = [evse.pk for evse in self.evses]
        rows = Occupancy.objects.filter(
            evse__in=evse_ids, span__overlap=Period(now, now + LONGEST_CACHED)
        ).exclude(kind=Occupancy.Kind.PENDING)
        self._rows = list(rows)
        self._inside = {row.evse_id: row for row in self._rows if row.span.contains(now)}
        coming = Booking.objects.filter(
            Q(enforcement__in=AT_CHARGER) | Q(starts_at__lte=now + LONGEST_CACHED + LONGEST_LEAD),
            evse__in=evse_ids,
            status=BookingStatus.CONFIRMED,
            ends_at__gt=now,
        )
        self._coming = list(coming.order_by("-starts_at"))
        self._next = {b.evse_id: b.pk for b in self._coming if b.enforcement in AT_CHARGER}
        # Those that `opened_by` found, and all that is judged: each question about them is asked once, for all.
        self._found_ids: list[int] = []
        self._admitted: dict[tuple[int, ...], bool] = {}

    def same_until(self) -> datetime:
        """Nothing here begins, ends or is armed before; a few minutes at most, since a slot may be booked at any time."""
        edges = [edge for row in self._rows for edge in (row.span.starts_at, row.span.ends_at)]
        edges += [booking.terms.due_at(booking.period) for booking in self._coming]
        return min(edge for edge in (*edges, self.now + LONGEST_CACHED) if edge > self.now)

    @property
    def depot(self) -> Depot:
        return self._charger.depot

    @cached_property
    def walk_in(self) -> str:
        """The depot's term; agreements and options have no say in who comes without a booking."""
        given = TermsOverride.objects.filter(depot=self._charger.depot_id).values_list("walk_in", flat=True)
        return given.first() or Terms.walk_in

    def holder(self, evse_id: int) -> int | None:
        """Whose the EVSE is now: who occupies it, else the next one, once its slot is being prepared."""
        row = self._inside.get(evse_id)
        if row is not None and row.kind == Occupancy.Kind.BOOKING:
            return row.holder
        return self._next.get(evse_id)

    def is_closed(self, evse_id: int) -> bool:
        row = self._inside.get(evse_id)
        return row is not None and row.kind == Occupancy.Kind.CLOSURE

    def has_begun(self, booking: Booking, evse: Evse) -> bool:
        is_early = evse.pk not in self._inside and occupancy.may_start_early(booking, self.now)
        return is_early or booking.pk in self._occupying

    def is_alternative(self, booking: Booking, evse: Evse) -> bool:
        """A driver who takes another free EVSE of what was booked, or the one that it was at until a moment ago, uses the booking
        there."""
        is_free = self.holder(evse.pk) is None and not self.is_closed(evse.pk)
        is_of_it = is_free and (booking.option_id, evse.pk) in self._in_options
        return is_of_it or (is_free and (booking.pk, evse.uid) in self._just_left)

    def admit_guests(self, owners: Sequence[int]) -> bool:
        key = tuple(owners)
        if key not in self._admitted:
            self._admitted[key] = guests_admit(self.depot, owners, now=self.now)
        return self._admitted[key]

    @cached_property
    def _in_options(self) -> set[tuple[int, int]]:
        """(option, EVSE of this charger that is of it)."""
        rows = BookingOption.evses.through.objects.filter(evse__in=[evse.pk for evse in self.evses])
        return set(rows.values_list("bookingoption", "evse"))

    @cached_property
    def _just_left(self) -> set[tuple[int, str]]:
        return just_left(self._found_ids, now=self.now)

    @cached_property
    def _occupying(self) -> set[int]:
        return occupancy.occupying(self._found_ids, self.now)

    def left_early(self, opened: list[Booking]) -> list[Booking]:
        """Bookings that were over before their time: a truck whose session broke off starts again, and one that started
        in time at a charger without connection is heard of after it was given up."""
        return [
            booking
            for booking in opened
            if booking.status == BookingStatus.COMPLETED
            or (booking.status == BookingStatus.NO_SHOW and self.now < booking.no_show_at())
        ]

    def opened_by(self, card: _Card) -> tuple[list[Booking], list[Booking]]:
        """The depot's bookings that the card may use and whose booked end is to come; of those not begun only what is
        soon. The nearest first. Beside them networks' bookings that name no token, which it may use if its network says so."""
        is_due = Q(enforcement__in=AT_CHARGER) | Q(starts_at__lte=self.now + SOON)
        rows = Booking.objects.filter(
            card.names(),
            ~Q(status=BookingStatus.CONFIRMED) | is_due,
            depot=self._charger.depot_id,
            status__in=[*USABLE, BookingStatus.COMPLETED, BookingStatus.NO_SHOW],
            ends_at__gt=self.now,
        )
        found = rows.select_related("fleet").prefetch_related("tokens")
        card.meet(found)
        self._found_ids = [booking.pk for booking in found]
        nearest = sorted(found, key=lambda b: (b.status != BookingStatus.CONFIRMED, b.starts_at))
        opened = [booking for booking in nearest if card.may_use(booking, self._charger)]
        return opened, [b for b in nearest if b not in opened and b.fleet.is_partner and not b.tokens.all()]
