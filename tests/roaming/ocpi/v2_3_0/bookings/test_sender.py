"""A partner reads what it may book, books, changes and cancels (Bookings, Sender)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.models import Booking, BookingRequest, BookingToken, Occupancy
from bookings.operations import (
    cancel_booking,
    complete,
    decide,
    fail_undecided,
    mark_no_show,
    start_charging,
)
from depots.models import ChargingSession
from depots.periods import Period
from roaming.ocpi.v2_3_0.bookings.schemas import EchoedRequest
from roaming.outbound.writers.offer_book import OfferBook
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    change_slot,
    make_depot,
    make_evse,
    make_operator,
    make_option,
    open_depot,
    option_of,
    slot,
)
from tests.roaming.partners import (
    BOOKINGS,
    LOCATIONS,
    VERSIONS,
    Caller,
    booking_request,
    code,
    data,
    make_partner,
)

pytestmark = pytest.mark.django_db
ELEVEN = slot(11, 12)
TWO = slot(14, 15)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def evse() -> Any:
    return make_evse(uid="EVSE-1")


@pytest.fixture
def approving() -> Any:
    """An EVSE where the depot decides on every request."""
    return make_evse(make_depot(terms={"approval": True}), uid="EVSE-A")


@pytest.fixture(params=VERSIONS)
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(make_partner(version=request.param))


def free_spans(caller: Caller, option_code: str) -> list[tuple[str, str]]:
    location = data(caller.get(f"{BOOKINGS}/booking_locations/{option_code}"))
    slots = [s for calendar in location["calendars"] for s in calendar["available_timeslots"]]
    return [(s["start_date_time"], s["end_date_time"]) for s in slots]


def is_free(caller: Caller, option_code: str, period: Any) -> bool:
    start, end = f"{period.starts_at:%Y-%m-%dT%H:%M:%SZ}", f"{period.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    return any(s <= start and end <= e for s, e in free_spans(caller, option_code))


def edit(answer: Any, **changes: Any) -> dict[str, Any]:
    """The newest request of a booking again, with changes."""
    body = {**data(answer)["booking_requests"][-1]["booking_request"], **changes}
    return {name: value for name, value in body.items() if value is not None}


def period_json(period: Any) -> dict[str, str]:
    return {
        "start_date_time": f"{period.starts_at:%Y-%m-%dT%H:%M:%SZ}",
        "end_date_time": f"{period.ends_at:%Y-%m-%dT%H:%M:%SZ}",
    }


CANCELED = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}


# What is offered


def test_an_offer_names_its_evse_its_terms_and_its_free_time(caller: Caller, evse: Any) -> None:
    """Checklist 62: powers are watts, times whole seconds in UTC."""
    (location,) = data(caller.get(f"{BOOKINGS}/booking_locations"))

    assert location["id"] == "EVSE-1"
    assert location["location_id"] == evse.depot.location_id
    assert location["booking_option"]["evse_uid"] == "EVSE-1"
    assert location["booking_option"]["connector_types"] == ["IEC_62196_T2_COMBO"]
    assert location["booking_terms"]["change_until_minutes"] == 60
    (calendar,) = location["calendars"]
    assert calendar["timeslot_increment"] == 15
    assert calendar["available_timeslots"] == [
        {
            "start_date_time": "2030-01-15T08:00:00Z",
            "end_date_time": "2030-01-29T08:00:00Z",
            "min_power": 400000,
            "max_power": 400000,
        }
    ]


def test_partners_see_their_own_sets_of_offers() -> None:
    """Checklist 30."""
    mine, theirs = Caller(make_partner()), Caller(make_partner())
    for_me, for_all = make_depot(open_to_all=False), make_depot()
    open_depot(for_me, mine.partner.organisation)
    make_evse(for_me, uid="MINE")
    make_evse(for_all, uid="ALL")
    make_evse(make_depot(open_to_all=False), uid="NOBODY")

    def seen(caller: Caller) -> set[str]:
        return {location["id"] for location in data(caller.get(f"{BOOKINGS}/booking_locations"))}

    assert seen(mine) == {"MINE", "ALL"}
    assert seen(theirs) == {"ALL"}
    assert code(theirs.get(f"{BOOKINGS}/booking_locations/MINE")) == (404, 2003)
    assert code(theirs.book(option_of(for_me.evses.get()), ELEVEN)) == (200, 2003)


def test_an_agreement_may_change_the_terms_that_a_partner_sees(caller: Caller) -> None:
    depot = make_depot(open_to_all=False)
    open_depot(depot, caller.partner.organisation, cancel_until_min=90)
    make_evse(depot, uid="OURS")

    location = data(caller.get(f"{BOOKINGS}/booking_locations/OURS"))

    assert location["booking_terms"]["cancel_until_minutes"] == 90


@pytest.mark.parametrize(("walk_in", "is_required"), [("own", True), (None, False), ("anybody", False)])
def test_offers_and_bays_say_whether_guests_may_charge_without_a_booking(
    caller: Caller, walk_in: str | None, is_required: bool
) -> None:
    """The depot's term counts alone: an agreement has no say in it."""
    depot = make_depot(open_to_all=False, terms={"walk_in": walk_in})
    open_depot(depot, caller.partner.organisation, walk_in="anybody")
    make_evse(depot, uid="OURS")

    offer = data(caller.get(f"{BOOKINGS}/booking_locations/OURS"))
    bays = data(caller.get(f"{LOCATIONS}/{depot.location_id}")).get("parking_places", ())

    assert offer["policy"]["reservation_required"] is is_required
    assert [bay["reservation_required"] for bay in bays] == [is_required] * (caller.version == "2.3.0")


def test_a_partner_that_has_all_it_may_have_is_offered_nothing_more(clock: Any) -> None:
    """Checklist 30, 61: at any offer of the depot, in what is read and in what is pushed, until one is over."""
    depot = make_depot(terms={"max_open_bookings": 1})
    first, second = make_evse(depot, uid="EVSE-1"), make_evse(depot, uid="EVSE-2")
    caller, other = Caller(make_partner()), Caller(make_partner())

    def offered(to: Caller) -> list[bool]:
        pushed = OfferBook().written(
            [to.partner], [option_of(e).pk for e in (first, second)], now=timezone.now()
        )
        read = [bool(free_spans(to, code)) for code in ("EVSE-1", "EVSE-2")]
        written = [offer.body.content for offer in pushed.values() if offer]
        assert [b'"CAL-' in text for text in written] == read
        return read

    booked = data(caller.book(option_of(first), ELEVEN))
    assert (offered(caller), offered(other)) == ([False, False], [True, True])
    assert raise_marked(timezone.now) == sorted(option_of(e).pk for e in (first, second))
    cancel_booking(booking_id=_pk(booked), reason="FULL", by="depot", actor=MANAGER, now=NOW)
    assert offered(caller) == [True, True]
    assert len(raise_marked(timezone.now)) == 2


def test_single_offers_and_calendars_are_found_in_any_case(caller: Caller, evse: Any) -> None:
    """Checklist 32, 24."""
    location = data(caller.get(f"{BOOKINGS}/booking_locations/evse-1"))
    (calendar,) = location["calendars"]

    assert data(caller.get(f"{BOOKINGS}/booking_locations/EVSE-1/{calendar['id'].lower()}")) == calendar
    assert code(caller.get(f"{BOOKINGS}/booking_locations/EVSE-9")) == (404, 2003)
    assert code(caller.get(f"{BOOKINGS}/booking_locations/EVSE-1/other")) == (404, 2003)


def test_the_timeslot_filter_keeps_offers_with_free_time_in_the_span(caller: Caller) -> None:
    """Checklist 31."""
    busy, idle = make_evse(uid="BUSY"), make_evse(uid="IDLE")
    caller.book(option_of(busy), slot(11, 13))

    def found(start: str, end: str) -> set[str]:
        query = {"timeslot_from": start, "timeslot_to": end}
        return {one["id"] for one in data(caller.get(f"{BOOKINGS}/booking_locations", query))}

    assert found("2030-01-15T11:00:00Z", "2030-01-15T13:00:00Z") == {idle.uid}
    assert found("2030-01-15T11:00:00Z", "2030-01-15T13:15:00Z") == {"BUSY", "IDLE"}
    assert found("2031-01-15T11:00:00Z", "2031-01-15T13:15:00Z") == set()
    empty = {"timeslot_from": "2030-01-15T11:00:00Z", "timeslot_to": "2030-01-15T11:00:00Z"}
    assert code(caller.get(f"{BOOKINGS}/booking_locations", empty)) == (200, 2001)


def test_an_offer_that_is_full_has_no_calendar_at_all(caller: Caller) -> None:
    """Checklist 60."""
    evse = make_evse(make_depot(terms={"horizon_days": 1, "max_duration_min": 3000}), uid="FULL")
    full = Period(NOW, NOW + timedelta(days=1))
    assert data(caller.book(option_of(evse), full))["reservation_status"] == "RESERVED"

    location = data(caller.get(f"{BOOKINGS}/booking_locations/FULL"))

    assert location["calendars"] == []


def test_a_pool_says_na_until_its_evse_is_settled(caller: Caller) -> None:
    """Checklist 58."""
    depot = make_depot()
    evses = [make_evse(depot, option=False) for _ in range(2)]
    pool = make_option(*evses, code="POOL")

    offer = data(caller.get(f"{BOOKINGS}/booking_locations/POOL"))
    booking = data(caller.book(pool, ELEVEN))
    asked = data(caller.book(pool, TWO, booking_option={"evse_uid": evses[1].uid.lower()}))

    assert "evse_uid" not in offer["booking_option"]
    assert booking["booking_option"] == {"evse_uid": "#NA"}
    assert asked["booking_option"]["evse_uid"] == evses[1].uid
    Booking.objects.filter(reference=booking["id"]).update(enforcement="armed")
    told = data(caller.get(f"{BOOKINGS}/{booking['id']}"))
    assert told["booking_option"]["evse_uid"] in {e.uid for e in evses}


# Booking


def test_a_valid_request_is_reserved_at_once_and_takes_the_slot(caller: Caller, evse: Any) -> None:
    """Checklist 34."""
    answer = caller.book(option_of(evse), ELEVEN, power_required=350)

    assert code(answer) == (201, 1000)
    booking = data(answer)
    assert booking["reservation_status"] == "RESERVED"
    assert [r["request_status"] for r in booking["booking_requests"]] == ["ACCEPTED"]
    assert booking["period"]["start_date_time"] == "2030-01-15T11:00:00Z"
    assert booking["period"]["min_power"] == 350_000
    assert booking["booking_option"]["evse_uid"] == "EVSE-1"
    assert booking["country_code"], booking["party_id"] == evse.depot.operator.cpo_party.split("*")
    assert not is_free(caller, "EVSE-1", ELEVEN)
    stored = Booking.objects.get(reference=booking["id"])
    assert stored.route == Booking.Route.INBOUND
    assert Occupancy.objects.filter(holder=stored.pk).count() == 1


def test_the_history_keeps_the_request_as_it_came(caller: Caller, evse: Any) -> None:
    """Checklist 59, 18."""
    body = booking_request(caller.party, option_of(evse), ELEVEN, nlabc_note={"deep": ["ä", 1.5, None]})

    answer = caller.post(BOOKINGS, body)

    (entry,) = data(answer)["booking_requests"]
    assert entry["booking_request"] == body
    assert entry["request_received"] == "2030-01-15T08:00:00Z"


def test_a_taken_slot_is_rejected_and_nothing_else(caller: Caller, evse: Any) -> None:
    """Checklist 36."""
    Caller(make_partner()).book(option_of(evse), ELEVEN)

    answer = caller.book(option_of(evse), ELEVEN)

    assert code(answer) == (201, 1000)
    assert data(answer)["reservation_status"] == "REJECTED"
    assert [r["request_status"] for r in data(answer)["booking_requests"]] == ["DECLINED"]
    assert "taken" in answer.json()["status_message"]
    assert Occupancy.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"location_id": "NOWHERE"}, (200, 2003)),
        ({"booking_location_id": "NOTHING"}, (200, 2003)),
        ({"party_id": "XXX"}, (200, 2001)),
        ({"country_code": "NO"}, (200, 2001)),
        ({"period": None}, (200, 2001)),
        ({"location_id": None}, (200, 2001)),
        ({"request_id": None}, (200, 2001)),
        ({"period": {"start_date_time": "2030-01-15T12:00:00Z", "end_date_time": "2030-01-15T11:00:00Z"}}, (200, 2001)),
        ({"period": {"start_date_time": "2030-01-15T11:00:00Z", "end_date_time": "2030-01-15T11:00:00Z"}}, (200, 2001)),
        ({"period": {"start_date_time": "2030-01-15T07:00:00Z", "end_date_time": "2030-01-15T08:00:00Z"}}, (200, 2001)),
        ({"canceled": CANCELED}, (200, 2001)),
        ({"booking_option": {"evse_uid": "EVSE-9"}}, (200, 2001)),
        ({"power_required": -1}, (200, 2001)),
        ({"request_id": "x" * 65}, (200, 2001)),
        ({"tokens": [{"uid": "1"}]}, (200, 2001)),
        ({"tokens": "1"}, (200, 2001)),
    ],
)  # fmt: skip
def test_a_request_that_breaks_a_rule_changes_nothing(
    caller: Caller, evse: Any, change: Any, expected: Any
) -> None:
    """Checklist 37, 38, 39, 53, 17."""
    answer = caller.book(option_of(evse), ELEVEN, **change)

    assert code(answer) == expected
    assert answer.json()["status_message"]
    assert Booking.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"period": period_json(slot((11, 7), 12))},
        {"period": period_json(slot(11, (11, 15)))},
        {"period": period_json(slot(11, 16))},
        {"period": period_json(slot(11, 12, day=20))},
        {"power_required": 600},
        {"booking_option": {"connector_types": ["MCS"]}},
        {"booking_option": {"vehicle_types": ["BUS"]}},
        {"booking_option": {"max_vehicle_length": 2500}},
        {"booking_option": {"drive_through": True}},
    ],
)
def test_what_the_terms_or_the_bay_do_not_allow_is_rejected_with_the_reason(
    caller: Caller, change: Any
) -> None:
    """Checklist 40, 41."""
    evse = make_evse(
        uid="SMALL", max_power_w=350_000, max_vehicle_length_cm=1800, vehicle_types=["SEMI_TRACTOR"]
    )

    answer = caller.book(option_of(evse), ELEVEN, **change)

    assert code(answer)[1] == 1000
    assert data(answer)["reservation_status"] == "REJECTED"
    assert answer.json()["status_message"]
    assert Occupancy.objects.count() == 0


@pytest.mark.parametrize("is_edit", [False, True])
def test_a_partner_may_name_only_tokens_of_its_own_parties(caller: Caller, evse: Any, is_edit: bool) -> None:
    card = {"uid": "04FACE", "type": "RFID", "contract_id": "C1"}
    theirs = {**card, "country_code": caller.party[0].lower(), "party_id": caller.party[1]}
    foreign = {**card, "country_code": "DE", "party_id": "NFE"}
    if is_edit:
        caller.book(option_of(evse), ELEVEN, request_id="R-1", tokens=[theirs])

    refused = caller.book(option_of(evse), ELEVEN, request_id="R-1", tokens=[theirs, foreign])

    assert code(refused)[1] == 2001
    assert "DE*NFE" in refused.json()["status_message"]
    assert [token.uid for token in BookingToken.objects.all()] == ["04FACE"] * is_edit


def test_as_much_power_as_the_evse_has_is_accepted(caller: Caller) -> None:
    """Checklist 41: 350 kW of 350,000 W."""
    evse = make_evse(max_power_w=350_000)

    assert data(caller.book(option_of(evse), ELEVEN, power_required=350))["reservation_status"] == "RESERVED"


def test_without_its_id_the_offer_is_found_by_its_place_and_evse(caller: Caller) -> None:
    depot = make_depot()
    one, _ = make_evse(depot, uid="ONE"), make_evse(depot, uid="TWO")

    unclear = caller.book(option_of(one), ELEVEN, booking_location_id=None)
    named = caller.book(option_of(one), ELEVEN, booking_location_id=None, evse_uid="one")

    assert code(unclear) == (200, 2002)
    assert data(named)["booking_option"]["evse_uid"] == "ONE"
    caller.partner.refresh_from_db()
    assert caller.partner.deviations["booking_request.booking_location_id_missing"] == 2
    assert caller.partner.deviations["booking_request.evse_uid"] == 1


# The same message twice


def test_the_same_request_again_is_the_same_booking(caller: Caller, evse: Any) -> None:
    """Checklist 42."""
    body = booking_request(caller.party, option_of(evse), ELEVEN)

    first = caller.post(BOOKINGS, body)
    again = caller.post(BOOKINGS, dict(reversed(body.items())))

    assert (first.status_code, again.status_code) == (201, 200)
    assert data(again) == data(first)
    assert BookingRequest.objects.count() == 1


def test_request_ids_compare_without_case_and_within_their_emsp(caller: Caller, evse: Any) -> None:
    """Checklist 44."""
    other = Caller(make_partner())
    first = data(caller.book(option_of(evse), ELEVEN, request_id="Mine-1"))

    again = data(caller.book(option_of(evse), ELEVEN, request_id="MINE-1", country_code="se"))
    theirs = data(other.book(option_of(evse), TWO, request_id="Mine-1"))

    assert again["id"] == first["id"]
    assert theirs["id"] != first["id"]
    assert theirs["reservation_status"] == "RESERVED"


def test_a_rejected_booking_stays_rejected_until_a_new_request_id(
    caller: Caller, evse: Any, clock: Any
) -> None:
    """Checklist 52: the identical retry gets the same Booking, for ten minutes."""
    blocker = data(Caller(make_partner()).book(option_of(evse), ELEVEN))
    body = booking_request(caller.party, option_of(evse), ELEVEN)
    rejected = data(caller.post(BOOKINGS, body))
    cancel_booking(booking_id=_pk(blocker), reason="FULL", by="depot", actor=DISPATCHER, now=NOW)

    soon = caller.post(BOOKINGS, body)
    clock.shift(timedelta(minutes=11))
    late = caller.post(BOOKINGS, body)

    assert data(soon)["id"] == rejected["id"]
    assert data(soon)["reservation_status"] == "REJECTED"
    assert code(late) == (200, 2001)
    assert "declined" in late.json()["status_message"]
    assert code(caller.post(BOOKINGS, {**body, "request_id": "fresh"})) == (201, 1000)


# Change


def test_a_change_takes_the_new_slot_and_gives_the_old_one_back(caller: Caller, evse: Any) -> None:
    """Checklist 46."""
    first = caller.book(option_of(evse), ELEVEN)

    changed = caller.post(BOOKINGS, edit(first, period=period_json(TWO)))

    assert code(changed) == (200, 1000)
    assert data(changed)["id"] == data(first)["id"]
    assert data(changed)["period"]["start_date_time"] == "2030-01-15T14:00:00Z"
    assert [r["request_status"] for r in data(changed)["booking_requests"]] == ["ACCEPTED", "ACCEPTED"]
    assert is_free(caller, "EVSE-1", ELEVEN)
    assert not is_free(caller, "EVSE-1", TWO)


def test_a_change_to_a_taken_slot_is_declined_and_the_old_one_stands(caller: Caller, evse: Any) -> None:
    """Checklist 46."""
    Caller(make_partner()).book(option_of(evse), TWO)
    first = caller.book(option_of(evse), ELEVEN)

    changed = caller.post(BOOKINGS, edit(first, period=period_json(TWO)))

    assert data(changed)["reservation_status"] == "RESERVED"
    assert data(changed)["period"] == data(first)["period"]
    assert data(changed)["booking_requests"][-1]["request_status"] == "DECLINED"
    assert "taken" in changed.json()["status_message"]


def test_a_change_after_the_deadline_is_declined(caller: Caller, evse: Any, clock: Any) -> None:
    """Checklist 48."""
    first = caller.book(option_of(evse), ELEVEN)
    clock.move_to(ELEVEN.starts_at - timedelta(minutes=59))

    changed = caller.post(BOOKINGS, edit(first, period=period_json(TWO)))

    assert data(changed)["reservation_status"] == "RESERVED"
    assert data(changed)["booking_requests"][-1]["request_status"] == "DECLINED"
    assert data(changed)["period"] == data(first)["period"]


def test_tokens_can_be_changed_alone(caller: Caller, evse: Any) -> None:
    first = caller.book(option_of(evse), ELEVEN)
    (token,) = data(first)["booking_tokens"]

    changed = caller.post(BOOKINGS, edit(first, tokens=[{**token, "uid": "04FFFFFFFF"}]))

    assert [t["uid"] for t in data(changed)["booking_tokens"]] == ["04FFFFFFFF"]
    assert data(changed)["booking_requests"][-1]["request_status"] == "ACCEPTED"


@pytest.mark.parametrize("offer", ["evse", "approving"])
def test_plate_and_reference_can_be_changed_alone(caller: Caller, offer: str, request: Any) -> None:
    first = caller.book(option_of(request.getfixturevalue(offer)), ELEVEN)
    if offer == "approving":
        decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)
    plates = [{"method": "LICENSE_PLATE", "value": "NEW 1"}]

    caller.post(BOOKINGS, edit(first, access_information=plates, authorization_reference="newest"))
    if offer == "approving":
        decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)

    booking = data(caller.get(f"{BOOKINGS}/{data(first)['id']}"))
    assert booking["access_information"] == plates
    assert booking["authorization_reference"] == "newest"
    assert booking["period"] == data(first)["period"]
    assert [entry["request_status"] for entry in booking["booking_requests"]] == ["ACCEPTED", "ACCEPTED"]


def test_an_edit_without_reference_keeps_the_one_there_is(caller: Caller, evse: Any) -> None:
    first = caller.book(option_of(evse), ELEVEN)

    changed = caller.post(BOOKINGS, edit(first, period=period_json(TWO), authorization_reference=None))

    assert data(changed)["authorization_reference"] == data(first)["authorization_reference"]


def test_an_edit_that_asks_for_what_is_there_is_granted(caller: Caller, evse: Any) -> None:
    first = caller.book(option_of(evse), ELEVEN)

    answer = caller.post(BOOKINGS, edit(first, nlabc_retry=2))

    assert data(answer)["booking_requests"][-1]["request_status"] == "ACCEPTED"
    assert data(answer)["period"] == data(first)["period"]


def test_the_offer_of_a_booking_cannot_be_changed(caller: Caller, evse: Any) -> None:
    other = make_evse(evse.depot, uid="OTHER")
    first = caller.book(option_of(evse), ELEVEN)

    answer = caller.post(BOOKINGS, edit(first, booking_location_id=other.uid))

    assert code(answer) == (200, 2001)
    assert "booking_location_id" in answer.json()["status_message"]


# Cancel


def test_a_cancellation_in_time_gives_the_slot_back(caller: Caller, evse: Any) -> None:
    """Checklist 49."""
    first = caller.book(option_of(evse), ELEVEN)

    answer = caller.post(BOOKINGS, edit(first, canceled=CANCELED))

    assert code(answer) == (200, 1000)
    assert data(answer)["reservation_status"] == "CANCELED"
    assert data(answer)["canceled"] == CANCELED
    assert [r["request_status"] for r in data(answer)["booking_requests"]] == ["ACCEPTED", "ACCEPTED"]
    assert is_free(caller, "EVSE-1", ELEVEN)


def test_a_cancellation_after_the_deadline_is_declined(caller: Caller, evse: Any, clock: Any) -> None:
    """Checklist 50."""
    first = caller.book(option_of(evse), ELEVEN)
    clock.move_to(ELEVEN.starts_at - timedelta(minutes=29))

    answer = caller.post(BOOKINGS, edit(first, canceled=CANCELED))

    assert data(answer)["reservation_status"] == "RESERVED"
    assert "canceled" not in data(answer)
    assert data(answer)["booking_requests"][-1]["request_status"] == "DECLINED"


def test_a_cancellation_of_the_identifiers_alone_is_understood(caller: Caller, evse: Any) -> None:
    """Checklist 51."""
    first = data(caller.book(option_of(evse), ELEVEN))
    country, party = caller.party

    answer = caller.post(
        BOOKINGS,
        {
            "country_code": country,
            "party_id": party,
            "request_id": first["request_id"],
            "cancelled": {"cancellation_reason": "TRAFFIC", "who_canceled": "RECEIVER"},
        },
    )

    assert data(answer)["reservation_status"] == "CANCELED"
    assert data(answer)["canceled"] == CANCELED


@pytest.mark.parametrize(
    "change", [{"period": period_json(TWO)}, {"canceled": {**CANCELED, "cancellation_reason": "UNKNOWN"}}]
)
def test_a_final_booking_takes_no_further_request(caller: Caller, evse: Any, change: Any) -> None:
    """Checklist 52."""
    first = caller.book(option_of(evse), ELEVEN)
    canceled = caller.post(BOOKINGS, edit(first, canceled=CANCELED))

    answer = caller.post(BOOKINGS, edit(first, **change))
    repeated = caller.post(BOOKINGS, edit(canceled))

    assert code(answer) == (200, 2001)
    assert "cancelled" in answer.json()["status_message"]
    assert data(repeated) == data(canceled)


# The depot decides


def test_where_the_depot_decides_a_request_is_pending_and_takes_the_slot(
    caller: Caller, approving: Any
) -> None:
    """Checklist 35."""
    answer = caller.book(option_of(approving), ELEVEN)

    assert code(answer) == (201, 1000)
    assert data(answer)["reservation_status"] == "PENDING"
    assert [r["request_status"] for r in data(answer)["booking_requests"]] == ["PENDING"]
    assert not is_free(caller, "EVSE-A", ELEVEN)


@pytest.mark.parametrize(
    ("accept", "status", "entry"), [(True, "RESERVED", "ACCEPTED"), (False, "REJECTED", "DECLINED")]
)
def test_the_depots_answer_shows_in_the_booking(
    caller: Caller, approving: Any, accept: bool, status: str, entry: str
) -> None:
    """Checklist 35."""
    first = data(caller.book(option_of(approving), ELEVEN))

    decide(booking_id=_pk(first), accept=accept, actor=MANAGER, now=NOW)

    booking = data(caller.get(f"{BOOKINGS}/{first['id']}"))
    assert booking["reservation_status"] == status
    assert [r["request_status"] for r in booking["booking_requests"]] == [entry]


def test_a_change_that_waits_leaves_the_old_period_in_force(caller: Caller, approving: Any) -> None:
    """Checklist 45, 46, 47."""
    first = caller.book(option_of(approving), ELEVEN)
    decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)

    waiting = caller.post(BOOKINGS, edit(first, period=period_json(TWO)))
    third = caller.post(BOOKINGS, edit(first, period=period_json(slot(16, 17))))

    assert data(waiting)["reservation_status"] == "RESERVED"
    assert _entries(waiting) == ["ACCEPTED", "PENDING"]
    assert data(waiting)["period"]["start_date_time"] == "2030-01-15T11:00:00Z"
    assert _entries(third) == ["ACCEPTED", "DECLINED", "PENDING"]
    decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)
    accepted = caller.get(f"{BOOKINGS}/{data(first)['id']}")
    assert _entries(accepted) == ["ACCEPTED", "DECLINED", "ACCEPTED"]
    assert data(accepted)["period"]["start_date_time"] == "2030-01-15T16:00:00Z"


def test_a_change_that_the_depot_refuses_leaves_everything(caller: Caller, approving: Any) -> None:
    """Checklist 46."""
    first = caller.book(option_of(approving), ELEVEN)
    decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)
    caller.post(BOOKINGS, edit(first, period=period_json(TWO)))

    decide(booking_id=_pk(data(first)), accept=False, actor=MANAGER, now=NOW)

    booking = caller.get(f"{BOOKINGS}/{data(first)['id']}")
    assert _entries(booking) == ["ACCEPTED", "DECLINED"]
    assert data(booking)["period"]["start_date_time"] == "2030-01-15T11:00:00Z"
    assert is_free(caller, "EVSE-A", TWO)


def test_nobody_deciding_in_time_fails_the_request(caller: Caller, approving: Any) -> None:
    """Checklist 35."""
    first = data(caller.book(option_of(approving), ELEVEN))

    fail_undecided(booking_id=_pk(first), now=NOW + timedelta(minutes=16))

    booking = caller.get(f"{BOOKINGS}/{first['id']}")
    assert data(booking)["reservation_status"] == "FAILED"
    assert _entries(booking) == ["FAILED"]


def test_a_cancellation_by_the_depot_names_its_reason_and_declines_what_waits(
    caller: Caller, approving: Any
) -> None:
    """Checklist 54."""
    first = caller.book(option_of(approving), ELEVEN)
    decide(booking_id=_pk(data(first)), accept=True, actor=MANAGER, now=NOW)
    caller.post(BOOKINGS, edit(first, period=period_json(TWO)))

    cancel_booking(booking_id=_pk(data(first)), reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=NOW)

    booking = caller.get(f"{BOOKINGS}/{data(first)['id']}")
    assert data(booking)["reservation_status"] == "CANCELED"
    assert data(booking)["canceled"] == {"cancellation_reason": "BROKEN_CHARGER", "who_canceled": "CPO"}
    assert _entries(booking) == ["ACCEPTED", "DECLINED"]


def test_a_move_by_the_depot_shows_without_a_request(caller: Caller, evse: Any) -> None:
    first = data(caller.book(option_of(evse), ELEVEN))

    change_slot(booking_id=_pk(first), period=TWO, by="depot", actor=MANAGER, now=NOW)

    booking = data(caller.get(f"{BOOKINGS}/{first['id']}"))
    assert booking["period"]["start_date_time"] == "2030-01-15T14:00:00Z"
    assert len(booking["booking_requests"]) == 1


def test_a_no_show_is_told_and_frees_the_slot(caller: Caller, evse: Any) -> None:
    """Checklist 55."""
    first = data(caller.book(option_of(evse), ELEVEN))

    mark_no_show(booking_id=_pk(first), now=ELEVEN.starts_at + timedelta(minutes=16))

    assert data(caller.get(f"{BOOKINGS}/{first['id']}"))["reservation_status"] == "NO_SHOW"
    assert not Occupancy.objects.exists()


# Lists


def test_a_partner_lists_its_own_bookings_and_no_others(caller: Caller, evse: Any) -> None:
    """Checklist 33."""
    mine = data(caller.book(option_of(evse), ELEVEN))
    other = Caller(make_partner())
    theirs = data(other.book(option_of(evse), TWO))

    assert [b["id"] for b in data(caller.get(BOOKINGS))] == [mine["id"]]
    assert [b["id"] for b in data(other.get(BOOKINGS))] == [theirs["id"]]
    assert code(caller.get(f"{BOOKINGS}/{theirs['id']}")) == (404, 2000)


def test_only_the_addressed_operators_data_is_given(caller: Caller) -> None:
    """Checklist 16."""
    first, second = make_operator(), make_operator()
    one, two = make_evse(make_depot(first), uid="ONE"), make_evse(make_depot(second), uid="TWO")
    to_first = {"OCPI-to-country-code": "nl", "OCPI-to-party-id": first.cpo_party_id.lower()}
    caller.book(option_of(two), ELEVEN)

    listed = data(caller.get(f"{BOOKINGS}/booking_locations", **to_first))

    assert [location["id"] for location in listed] == [one.uid]
    assert data(caller.get(BOOKINGS, **to_first)) == []
    assert code(caller.post(BOOKINGS, booking_request(caller.party, option_of(two), TWO), **to_first)) == (
        200,
        2003,
    )
    nobody = {"OCPI-to-country-code": "NL", "OCPI-to-party-id": "ZZZ"}
    assert code(caller.get(f"{BOOKINGS}/booking_locations", **nobody)) == (404, 2001)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_nothing_is_put_into_a_senders_lists(caller: Caller, evse: Any, method: str) -> None:
    """Checklist 63."""
    booking = data(caller.book(option_of(evse), ELEVEN))

    for path in ("", "/booking_locations", "/booking_locations/EVSE-1", f"/{booking['id']}"):
        assert code(caller.send(method, BOOKINGS + path, {})) == (405, 2000)


def _pk(booking: dict[str, Any]) -> int:
    return Booking.objects.get(reference=booking["id"]).pk


def _entries(answer: Any) -> list[str]:
    return [entry["request_status"] for entry in data(answer)["booking_requests"]]


# Beside the main road


def test_a_booking_is_fulfilled_when_charging_starts_and_stays_so(caller: Caller, evse: Any) -> None:
    """Checklist 56."""
    first = caller.book(option_of(evse), ELEVEN)
    session = ChargingSession.objects.create(
        charger=evse.charger,
        evse=evse,
        transaction="1",
        started_at=ELEVEN.starts_at,
        start_received_at=ELEVEN.starts_at,
    )

    start_charging(booking_id=_pk(data(first)), session=session, actor=DISPATCHER, now=ELEVEN.starts_at)
    charging = data(caller.get(f"{BOOKINGS}/{data(first)['id']}"))
    complete(booking_id=_pk(data(first)), at=ELEVEN.ends_at, actor=DISPATCHER, now=ELEVEN.ends_at)
    completed = data(caller.get(f"{BOOKINGS}/{data(first)['id']}"))

    assert charging["reservation_status"] == completed["reservation_status"] == "FULFILLED"
    assert code(caller.post(BOOKINGS, edit(first, period=period_json(TWO)))) == (200, 2001)
    assert code(caller.post(BOOKINGS, edit(first, canceled=CANCELED))) == (200, 2001)


def test_a_booking_changes_the_last_updated_of_its_offers_only(caller: Caller, clock: Any) -> None:
    """Checklist 61."""
    depot = make_depot()
    taken, idle = make_evse(depot, uid="TAKEN"), make_evse(depot, uid="IDLE")
    clock.shift(timedelta(minutes=5))

    caller.book(option_of(taken), ELEVEN)

    def updated(evse: Any) -> tuple[str, str]:
        location = data(caller.get(f"{BOOKINGS}/booking_locations/{evse.uid}"))
        return location["last_updated"], location["calendars"][0]["last_updated"]

    assert updated(taken) == ("2030-01-15T08:05:00Z", "2030-01-15T08:05:00Z")
    assert updated(idle) == ("2030-01-15T08:00:00Z", "2030-01-15T08:00:00Z")


def test_a_request_of_bookings_1_0_is_booked_and_kept_as_it_came(caller: Caller, evse: Any) -> None:
    """Checklist 67."""
    country, party = caller.party
    body = {
        "country_code": country.lower(),
        "party_id": party,
        "request_id": "OLD-1",
        "location_id": evse.depot.location_id,
        "evse_uid": "EVSE-1",
        "bookable_parking_option": {"format": "CABLE"},
        "booking_tokens": [
            {
                "country_code": country,
                "party_id": party,
                "uid": "AB 123",
                "type": "LICENSE_PLATE",
                "contract_id": "C",
            }
        ],
        "period": {
            "start_from": "2030-01-15T12:00:00+01:00",
            "end_before": "2030-01-15T12:00:00",
            "max_power": 300,
        },
    }

    booking = data(caller.post(BOOKINGS, body))

    assert booking["reservation_status"] == "RESERVED"
    assert booking["period"]["min_power"] == 300_000
    assert booking["access_information"] == [{"method": "LICENSE_PLATE", "value": "AB 123"}]
    assert booking["authorization_reference"] == "OLD-1"
    echoed = booking["booking_requests"][0]["booking_request"]
    assert echoed.items() >= {name: body[name] for name in body if name != "period"}.items()
    right = {"start_date_time": "2030-01-15T11:00:00Z", "end_date_time": "2030-01-15T12:00:00Z"}
    assert echoed["period"] == {**body["period"], **right}


def test_the_power_of_a_request_of_1_0_is_echoed_in_the_unit_it_was_read_in(
    caller: Caller, evse: Any
) -> None:
    caller.partner.switches = {**caller.partner.switches, "timeslot_power_unit": "W"}
    caller.partner.save()
    body = booking_request(caller.party, option_of(evse), ELEVEN)

    answers = [
        caller.post(BOOKINGS, {**body, "period": {**period_json(period), "max_power": 4000}})
        for period in (ELEVEN, TWO)
    ]

    asked = data(answers[-1])["booking_requests"]
    assert data(answers[-1])["period"]["min_power"] == 4_000
    assert [entry["booking_request"]["power_required"] for entry in asked] == [4, 4]


@pytest.mark.parametrize("name", ["request_id", "authorization_reference"])
def test_an_id_of_the_asker_that_is_too_long_is_refused_at_the_door(
    caller: Caller, evse: Any, name: str
) -> None:
    answer = caller.book(option_of(evse), ELEVEN, **{name: "r" * 37})

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"] == f"{name}: must have at most 36 characters"
    assert not Booking.objects.exists()
    assert data(caller.book(option_of(evse), ELEVEN, **{name: "r" * 36}))[name] == "r" * 36


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_reference_is_as_good_as_none(caller: Caller, evse: Any, empty: str) -> None:
    booking = data(caller.book(option_of(evse), ELEVEN, request_id="mine", authorization_reference=empty))

    assert booking["authorization_reference"] == "mine"
    caller.partner.refresh_from_db()
    assert caller.partner.deviations["booking_request.authorization_reference_missing"] == 1


def test_a_booking_asks_a_bounded_number_of_questions(caller: Caller, evse: Any) -> None:
    caller.book(option_of(evse), slot(14, 15))  # this process knows the depot from now on
    body = booking_request(caller.party, option_of(evse), ELEVEN)
    with CaptureQueriesContext(connection) as captured:
        caller.post(BOOKINGS, body)

    assert len(captured) <= 46


# What a partner can make grow


def test_an_ask_has_a_size(caller: Caller, evse: Any) -> None:
    body = booking_request(caller.party, option_of(evse), ELEVEN)

    answer = caller.post(BOOKINGS, {**body, "x_note": "x" * 16_384})

    assert code(answer) == (200, 2001)
    assert data(caller.post(BOOKINGS, {**body, "x_note": "x" * 10_000}))["reservation_status"] == "RESERVED"


def test_a_booking_is_asked_about_a_number_of_times_and_can_still_be_cancelled(
    caller: Caller, evse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roaming.inbound import partner_requests

    monkeypatch.setattr(partner_requests, "MOST_REQUESTS", 3)
    body = booking_request(caller.party, option_of(evse), ELEVEN)
    answers = [
        caller.post(BOOKINGS, {**body, "power_required": 100 + number, "x_number": number})
        for number in range(5)
    ]

    assert [code(answer)[1] for answer in answers] == [1000, 1000, 1000, 2001, 2001]
    assert "used 3 times" in answers[-1].json()["status_message"]
    gone = {**body, "canceled": {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}}
    cancelled = data(caller.post(BOOKINGS, gone))
    assert cancelled["reservation_status"] == "CANCELED"
    assert len(cancelled["booking_requests"]) == 4


# What goes back


def old_names(body: dict[str, Any]) -> dict[str, Any]:
    renamed = {"period": "timeslot", "tokens": "booking_tokens"}
    return {renamed.get(k, k): v for k, v in body.items() if k != "booking_location_id"}


GONE = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}


def bare(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {name: body[name] for name in ("country_code", "party_id", "request_id")} | more


@pytest.mark.parametrize(
    "asks",
    [
        lambda body, later: [body],
        lambda body, later: [old_names(body)],
        lambda body, later: [{**body, "authorization_reference": "", "tokens": None, "booking_location_id": None}],
        lambda body, later: [body, {**body, "period": later}],
        lambda body, later: [body, {**body, "canceled": GONE}],
        lambda body, later: [body, bare(body, canceled=GONE)],
        lambda body, later: [body, bare(body, cancelled=GONE, period=None)],
        lambda body, later: [body, {**body, "period": later}, bare(body, canceled=GONE)],
        lambda body, later: [body, {**body, "power_required": 9999}, bare(body, canceled=GONE)],
    ],
    ids=["create", "1.0", "few", "change", "cancel", "bare", "bare 1.0", "all", "declined"],
)  # fmt: skip
def test_the_history_is_complete_whatever_was_sent(caller: Caller, evse: Any, asks: Any) -> None:
    """What came is there as it came, and what was missing is what was booked when it came."""
    body = booking_request(caller.party, option_of(evse), ELEVEN)
    later = booking_request(caller.party, option_of(evse), slot(14, 15))["period"]
    sent = asks(body, later)

    answers = [caller.post(BOOKINGS, one) for one in sent]

    history = data(answers[-1])["booking_requests"]
    in_force = body["period"]
    for one, entry in zip(sent, history, strict=True):
        echoed = entry["booking_request"]
        EchoedRequest.model_validate(echoed)
        assert echoed.items() >= {k: v for k, v in one.items() if v not in (None, "")}.items()
        if "canceled" in one or "cancelled" in one:
            assert echoed["canceled"] == GONE
        assert echoed["period"] == one.get("period") or echoed["period"] == in_force
        in_force = one.get("period") or in_force
