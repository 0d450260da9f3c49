"""Offers that go out are computed and written once for all who see the same, and cut to what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.core.calendars import raise_marked
from bookings.models import BookingOption
from roaming.models import Partner
from roaming.ocpi.dialect import DIALECTS
from roaming.outbound.writers.offer_book import FRESH, OfferBook
from tests.factories import NOW, book_slot, make_depot, make_evse, make_vehicle, open_depot, option_of, slot
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def writings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes of the offers that are written down, in order."""
    seen: list[str] = []
    for dialect in DIALECTS.values():
        write = dialect.bookings.write_offer

        def counted(offer: Any, style: Any, write: Any = write) -> Any:
            seen.append(offer.option.code)
            return write(offer, style)

        monkeypatch.setattr(dialect.bookings, "write_offer", counted)
    return seen


def written(
    book: OfferBook, partners: list[Partner], *options: BookingOption, at: timedelta = timedelta()
) -> Any:
    return book.written(partners, [option.pk for option in options], now=NOW + at)


def test_partners_that_see_the_same_get_the_same_bytes(writings: list[str]) -> None:
    option = option_of(make_evse(uid="ONE"))
    partners = [make_partner() for _ in range(5)]

    offers = written(OfferBook(), partners, option)

    assert writings == ["ONE"]
    assert len({id(offer.body) for offer in offers.values()}) == 1


def test_an_agreement_of_its_own_makes_a_difference_only_where_its_terms_do(writings: list[str]) -> None:
    depot = make_depot()
    option = option_of(make_evse(depot, uid="ONE"))
    anybody, equal, special = (make_partner() for _ in range(3))
    open_depot(depot, equal.organisation)
    open_depot(depot, special.organisation, min_duration_min=90)

    offers = written(OfferBook(), [anybody, equal, special], option)

    assert writings == ["ONE", "ONE"]
    assert offers[anybody.pk, option.pk] is offers[equal.pk, option.pk]
    assert b'"min_booking_duration":90' in offers[special.pk, option.pk].body.content


def test_who_may_not_book_it_sees_it_without_free_time() -> None:
    depot = make_depot(open_to_all=False)
    option = option_of(make_evse(depot))
    guest, stranger = make_partner(), make_partner()
    open_depot(depot, guest.organisation)

    offers = written(OfferBook(), [guest, stranger], option)

    assert offers[guest.pk, option.pk].is_visible
    assert not offers[stranger.pk, option.pk].is_visible
    assert b'"calendars":[]' in offers[stranger.pk, option.pk].body.content


def test_what_was_written_a_moment_ago_is_good_for_the_next(writings: list[str]) -> None:
    option, book = option_of(make_evse(uid="ONE")), OfferBook()
    written(book, [make_partner()], option)

    written(book, [make_partner()], option, at=timedelta(seconds=1))
    assert writings == ["ONE"]
    written(book, [make_partner()], option, at=FRESH + timedelta(seconds=2))
    assert writings == ["ONE", "ONE"]


def test_a_changed_calendar_is_written_anew() -> None:
    evse, partner, book = make_evse(), make_partner(), OfferBook()
    before = written(book, [partner], option_of(evse))
    vehicle = make_vehicle()
    book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(11, 12))
    raise_marked(lambda: NOW)

    after = written(book, [partner], option_of(evse))

    (one,), (other,) = before.values(), after.values()
    assert one.digest != other.digest
    assert b"2030-01-15T11:00:00Z" in other.body.content


def test_it_asks_the_same_of_the_database_for_any_number_of_partners_and_offers() -> None:
    depot = make_depot()
    options = [option_of(make_evse(depot)) for _ in range(2)]

    def queries(partners: list[Partner], *options: BookingOption) -> int:
        with CaptureQueriesContext(connection) as captured:
            written(OfferBook(), partners, *options)
        return len(captured)

    few = queries([make_partner()], *options)
    options += [option_of(make_evse(make_depot())) for _ in range(3)]
    partners = [make_partner() for _ in range(12)]
    for partner in partners:
        open_depot(depot, partner.organisation, min_duration_min=partner.pk % 30 + 15)

    assert queries(partners, *options) == few


def test_an_offer_that_cannot_be_written_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good, partner = option_of(make_evse(uid="BAD")), option_of(make_evse(uid="GOOD")), make_partner()
    for dialect in DIALECTS.values():
        write = dialect.bookings.write_offer

        def broken(offer: Any, style: Any, write: Any = write) -> Any:
            if offer.option.code == "BAD":
                raise ValueError("no such connector")
            return write(offer, style)

        monkeypatch.setattr(dialect.bookings, "write_offer", broken)

    offers = written(OfferBook(), [partner], bad, good)

    assert offers[partner.pk, bad.pk] is None
    assert offers[partner.pk, good.pk] is not None
