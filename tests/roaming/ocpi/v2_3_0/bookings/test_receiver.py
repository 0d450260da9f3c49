"""What partners push: offers, calendars and bookings, in every spelling that is out there."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Booking, BookingOption
from bookings.pages.wording import terms_lines
from bookings.rules.terms import Terms
from depots.models import Depot, Organisation
from depots.periods import Period
from roaming.mirror import partner_offers, partner_places
from roaming.models import Partner, PartnerObject
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import UnreadableError
from tests.factories import DISPATCHER, NOW, at, book_slot, make_fleet, make_vehicle, slot
from tests.roaming.ocpi.v2_3_0.bookings.deviating import body_of, deviations
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner
from tests.roaming.pushed_objects import BASE, CALENDAR, OFFER, booking, calendar, location, offer, plug, z

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=VERSIONS)
def partner(request: pytest.FixtureRequest) -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role], version=request.param)


@pytest.fixture
def caller(partner: Partner) -> Caller:
    return Caller(partner)


@pytest.fixture
def option(caller: Caller) -> BookingOption:
    assert code(caller.send("PUT", OFFER, offer())) == (201, 1000)
    return BookingOption.objects.get(code="BL-1")


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet("Nordfracht", emsp_party_id="NFE")


@pytest.fixture
def ours(option: BookingOption, partner: Partner, fleet: Organisation) -> Booking:
    keep_place(partner, location())
    return book_slot(
        fleet=fleet,
        option=option,
        period=slot(12, 13),
        vehicle=make_vehicle(fleet),
        actor=DISPATCHER,
        now=timezone.now(),
    )


def keep_place(partner: Partner, raw: dict[str, Any]) -> Depot:
    return partner_places.keep_place(partner, dialect_of(partner).locations.read(copy.deepcopy(raw)).value)


def path(any_id: str = "CB-881") -> str:
    return f"{BASE}/FR/CPO/{any_id}"


def free(option: BookingOption) -> list[Period]:
    return list(option.offered_slots.values_list("period", flat=True))


# Offers


def test_an_offer_is_stored_mirrored_and_given_back_as_it_came(caller: Caller, option: BookingOption) -> None:
    """Checklist 64, 18."""
    assert data(caller.get(OFFER)) == offer()

    assert option.is_mirror
    assert option.depot.code == "FR-CPO-LOC-1"
    assert free(option) == [slot(8, 18)]
    assert option.calendar_at == NOW
    assert option.evses.get().uid == "E-1"
    assert option.terms.change_until_min == 60
    assert option.terms.slot_step_min == 15


def test_an_offer_put_again_is_updated_and_not_doubled(caller: Caller, option: BookingOption) -> None:
    """Checklist 64."""
    changed = offer(calendars=[calendar(slot(9, 10))], last_updated="2030-01-15T07:30:00Z")

    assert code(caller.send("PUT", OFFER, changed)) == (200, 1000)

    assert free(option) == [slot(9, 10)]
    assert BookingOption.objects.count() == Depot.objects.count() == 1


def test_an_offer_says_whether_charging_there_needs_a_booking(caller: Caller, option: BookingOption) -> None:
    """ocpi.md 3.4, Policy."""

    def words() -> list[str]:
        found = BookingOption.objects.select_related("depot").get(code="BL-1")
        terms = Terms.resolve([found.terms])
        return [line.words for line in terms_lines(terms, slot(12, 13), found.depot, now=NOW)]

    needs = "Charging only with a booking"
    assert needs not in words()
    for policy, is_said in (({"reservation_required": True}, True), ({"reservation_required": False}, False)):
        caller.send("PUT", OFFER, offer(policy=policy))
        assert (needs in words()) is is_said


def test_an_older_state_of_an_offer_is_dropped(caller: Caller, option: BookingOption) -> None:
    """Checklist 64."""
    old = offer(calendars=[], last_updated="2030-01-15T06:59:59Z")

    assert code(caller.send("PUT", OFFER, old)) == (200, 1000)

    assert free(option) == [slot(8, 18)]


@pytest.mark.parametrize(
    "spelling",
    [
        f"{BASE}/bookinglocations/FR/CPO/BL-1",
        f"{BASE}/booking_locations/fr/cpo/bl-1",
        f"{BASE}/FR/CPO/bookinglocations/BL-1",
        f"{BASE}/FR/CPO/booking-locations/BL-1/",
        f"{OFFER}/",
    ],
)
def test_other_spellings_of_the_path_are_served(caller: Caller, option: BookingOption, spelling: str) -> None:
    """Checklist 65."""
    assert code(caller.send("PUT", spelling, offer())) == (200, 1000)
    assert data(caller.get(spelling))["id"] == "BL-1"
    assert BookingOption.objects.count() == 1


def test_what_deviates_is_counted(caller: Caller, partner: Partner, option: BookingOption) -> None:
    caller.send("PUT", f"{BASE}/bookinglocations/FR/CPO/BL-1", offer())

    partner.refresh_from_db()
    assert partner.deviations["path.offers_first"] == 1


def test_path_and_body_must_agree_and_belong_to_the_caller(caller: Caller) -> None:
    """Checklist 25."""
    assert code(caller.send("PUT", OFFER, offer(id="BL-2"))) == (200, 2001)
    assert code(caller.send("PUT", OFFER, offer(party_id="XXX"))) == (200, 2001)
    assert code(caller.send("PUT", OFFER.replace("CPO", "XXX"), offer(party_id="XXX"))) == (404, 2001)
    assert code(caller.get(OFFER.replace("FR", "NL"))) == (404, 2001)
    assert not BookingOption.objects.exists()


def test_nothing_of_another_partner_is_seen_or_changed(caller: Caller, option: BookingOption) -> None:
    role = {"role": "CPO", "country_code": "IT", "party_id": "OTH", "name": "Other"}
    other = Caller(make_partner("OTH", country_code="IT", roles=[role]))

    assert code(other.get(OFFER)) == (404, 2001)
    assert code(other.send("PUT", OFFER, offer(calendars=[]))) == (404, 2001)
    assert free(option) == [slot(8, 18)]


def test_patch_needs_last_updated_and_what_it_patches(caller: Caller, option: BookingOption) -> None:
    """Checklist 26, 27."""
    assert code(caller.send("PATCH", OFFER, {"tariff_ids": ["T"]})) == (200, 2001)
    assert code(caller.send("PATCH", OFFER.replace("BL-1", "BL-9"), {"last_updated": z(NOW)})) == (404, 2000)
    assert code(caller.send("PATCH", path(), {"last_updated": z(NOW)})) == (404, 2000)


def test_patch_of_terms_keeps_the_other_terms(caller: Caller, option: BookingOption) -> None:
    """Checklist 70."""
    patch = {"booking_terms": {"change_until_minutes": 120}, "last_updated": z(NOW)}

    assert code(caller.send("PATCH", OFFER, patch)) == (200, 1000)

    terms = BookingOption.objects.get(code="BL-1").terms
    assert (terms.change_until_min, terms.cancel_until_min, terms.min_duration_min) == (120, 30, 30)
    assert data(caller.get(OFFER))["x_colour"] == "blue"


def test_an_older_patch_changes_nothing(caller: Caller, option: BookingOption) -> None:
    """Checklist 26."""
    patch = {"calendars": [], "last_updated": "2030-01-15T06:00:00Z"}

    assert code(caller.send("PATCH", OFFER, patch)) == (200, 1000)

    assert data(caller.get(OFFER)) == offer()


def test_patched_calendars_merge_by_id_and_identities_stay(caller: Caller, option: BookingOption) -> None:
    second = calendar(slot(8, 9, day=1), id="CA-2")
    caller.send("PATCH", OFFER, {"calendars": [second], "last_updated": z(NOW)})

    assert free(option) == [slot(8, 18), slot(8, 9, day=1)]
    assert code(caller.send("PATCH", OFFER, {"id": "BL-2", "last_updated": z(NOW)})) == (200, 2001)


def test_a_calendar_by_itself(caller: Caller, option: BookingOption) -> None:
    """Checklist 64."""
    changed = calendar(slot(14, 15), last_updated="2030-01-15T07:45:00Z")

    assert code(caller.send("PUT", CALENDAR, changed)) == (200, 1000)
    assert free(option) == [slot(14, 15)]
    assert data(caller.get(CALENDAR)) == changed
    assert data(caller.get(OFFER))["last_updated"] == "2030-01-15T07:45:00Z", (
        "the offer is as new as its calendar"
    )

    patch = {"available_timeslots": [], "last_updated": "2030-01-15T07:50:00Z"}
    assert code(caller.send("PATCH", CALENDAR, patch)) == (200, 1000)
    assert free(option) == []

    assert code(caller.send("PUT", f"{OFFER}/CA-2", calendar(id="CA-2"))) == (201, 1000)
    assert free(option) == [slot(8, 18)]
    assert code(caller.send("PUT", CALENDAR, calendar(id="CA-3"))) == (200, 2001)


def test_a_calendar_of_an_unknown_offer_is_404(caller: Caller) -> None:
    """Checklist 75."""
    assert code(caller.send("PUT", CALENDAR, calendar())) == (404, 2000)
    assert code(caller.send("PATCH", CALENDAR, {"last_updated": z(NOW)})) == (404, 2000)
    assert code(caller.get(CALENDAR)) == (404, 2000)


@pytest.mark.parametrize("how", ["PATCH", "PUT", "DELETE"])
def test_an_offer_is_withdrawn_in_any_of_three_ways_and_its_bookings_stand(
    caller: Caller, option: BookingOption, ours: Booking, how: str
) -> None:
    bodies = {
        "PATCH": {"status": "REMOVED", "last_updated": z(NOW)},
        "PUT": offer(status="REMOVED", last_updated=z(NOW)),
        "DELETE": {},
    }

    assert code(caller.send(how, OFFER, bodies[how])) == (200, 1000)

    option.refresh_from_db()
    assert option.is_withdrawn
    assert Booking.objects.get().status == "requested"

    # Pushed before, and arriving only now.
    assert code(caller.send("PUT", OFFER, offer(last_updated="2030-01-15T06:00:00Z"))) == (200, 1000)
    option.refresh_from_db()
    assert option.is_withdrawn


def test_an_offer_that_the_partners_whole_list_left_out_is_not_here_until_it_is_told_again(
    caller: Caller, option: BookingOption
) -> None:
    """Checklist 28: who compares would take it for offered."""
    assert code(caller.send("PUT", OFFER, offer(last_updated=z(NOW)))) == (200, 1000)
    assert code(caller.get(OFFER)) == (200, 1000)
    BookingOption.objects.update(is_withdrawn=True)

    assert code(caller.get(OFFER)) == (404, 2000)
    assert code(caller.get(CALENDAR)) == (404, 2000)

    assert code(caller.send("PUT", OFFER, offer(last_updated=z(NOW)))) == (200, 1000)
    assert code(caller.get(OFFER)) == (200, 1000)


def test_an_offer_without_calendars_has_nothing_free(caller: Caller, option: BookingOption) -> None:
    for nothing in ([], None):
        assert code(caller.send("PUT", OFFER, offer(calendars=nothing, last_updated=z(NOW)))) == (200, 1000)
        assert free(option) == []
    empty = calendar(available_timeslots=[])
    assert code(caller.send("PUT", OFFER, offer(calendars=[empty], last_updated=z(NOW)))) == (200, 1000)
    assert free(option) == []


def test_power_in_kw_is_read_as_such(caller: Caller) -> None:
    caller.send("PUT", OFFER, json.loads(json.dumps(offer()).replace("350000", "350")))

    assert BookingOption.objects.get().offered_slots.get().max_power_w == 350_000


def test_times_of_any_spelling_are_the_same_moment(caller: Caller, option: BookingOption) -> None:
    """Checklist 23."""
    spelled = calendar(last_updated="2030-01-15 08:00:00.123+01:00")
    spelled["available_timeslots"] = [
        {"start_date_time": "2030-01-15T10:00:00+02:00", "end_date_time": "2030-01-15t09:00:00"}
    ]

    assert code(caller.send("PUT", CALENDAR, spelled)) == (200, 1000)

    assert free(option) == [slot(8, 9)]


# Bookings


def test_the_partners_answer_arrives_as_a_push(caller: Caller, ours: Booking) -> None:
    """Checklist 64."""
    assert code(caller.send("PUT", path(), booking(ours))) == (201, 1000)

    ours.refresh_from_db()
    assert (ours.status, ours.remote_id, ours.remote_status) == ("confirmed", "CB-881", "RESERVED")
    assert ours.evse.uid == "E-1"
    assert ours.requests.get().decision == "accepted"
    assert data(caller.get(path())) == booking(ours)
    assert data(caller.get(path(ours.request_id))) == booking(ours)


def test_a_booking_has_the_terms_it_was_accepted_under_else_those_of_its_offer(
    caller: Caller, ours: Booking
) -> None:
    """ocpi.md 4, row 48."""
    terms = {"cancel_until_minutes": 5, "noshow_timeout": 20, "late_stop_allowed": True, "late_stop_time": 15}

    assert code(caller.send("PUT", path(), booking(ours, booking_terms=terms))) == (201, 1000)

    ours.refresh_from_db()
    kept = ours.terms
    assert (kept.cancel_until_min, kept.no_show_min, kept.late_stop_min) == (5, 20, 15)
    assert (kept.change_until_min, kept.min_duration_min) == (60, 30), "as the offer has them"
    later = {"booking_terms": {"change_not_allowed": True}, "last_updated": "2030-01-15T08:30:00Z"}
    assert code(caller.send("PATCH", path(), later)) == (200, 1000)
    ours.refresh_from_db()
    assert (ours.terms.cancel_until_min, ours.terms.change_until_min) == (5, 10**6)


def test_a_booking_under_its_request_id_is_the_same_booking(
    caller: Caller, ours: Booking, partner: Partner
) -> None:
    """Checklist 66."""
    assert code(caller.send("PUT", path(ours.request_id), booking(ours))) == (201, 1000)
    assert code(caller.send("PUT", path(), booking(ours))) == (200, 1000)

    assert PartnerObject.objects.filter(kind="booking").count() == 1
    partner.refresh_from_db()
    assert partner.deviations["path.request_id"] == 1


@pytest.mark.parametrize(
    "spelling",
    [f"{BASE}/booking/CB-881", f"{BASE}/CB-881", f"{BASE}/FR/CPO/booking/CB-881", f"{BASE}/fr/cpo/cb-881/"],
)
def test_other_paths_to_a_booking(caller: Caller, ours: Booking, spelling: str) -> None:
    """Checklist 65."""
    assert code(caller.send("PUT", spelling, booking(ours))) == (201, 1000)

    ours.refresh_from_db()
    assert ours.status == "confirmed"


def test_the_same_push_twice_changes_nothing(caller: Caller, ours: Booking) -> None:
    caller.send("PUT", path(), booking(ours))
    before = Booking.objects.values().get()
    events = ours.events.count()

    assert code(caller.send("PUT", path(), booking(ours))) == (200, 1000)

    assert Booking.objects.values().get() == before
    assert ours.events.count() == events


def test_a_late_push_of_an_older_state_changes_nothing(caller: Caller, ours: Booking) -> None:
    caller.send("PUT", path(), booking(ours))
    old = booking(ours, reservation_status="PENDING", last_updated="2030-01-15T07:59:00Z")
    same_second = booking(ours, reservation_status="PENDING")

    assert code(caller.send("PUT", path(), old)) == (200, 1000)
    assert code(caller.send("PUT", path(), same_second)) == (200, 1000)

    ours.refresh_from_db()
    assert (ours.status, ours.remote_status, ours.is_irregular) == ("confirmed", "RESERVED", False)


def test_a_booking_nobody_asked_for_is_kept_and_grants_nothing(caller: Caller, partner: Partner) -> None:
    """Checklist 76."""
    assert code(caller.send("PUT", path(), booking())) == (201, 1000)

    assert PartnerObject.objects.get(kind="booking").is_unmatched
    assert not Booking.objects.exists()
    partner.refresh_from_db()
    assert partner.deviations["booking.never_asked_for"] == 1


def test_another_partner_cannot_answer_for_a_booking(caller: Caller, ours: Booking) -> None:
    role = {"role": "CPO", "country_code": "IT", "party_id": "OTH", "name": "Other"}
    other = Caller(make_partner("OTH", country_code="IT", roles=[role]))
    forged = booking(ours, country_code="IT", party_id="OTH")

    assert code(other.send("PUT", f"{BASE}/IT/OTH/CB-881", forged)) == (201, 1000)

    ours.refresh_from_db()
    assert ours.status == "requested"
    assert PartnerObject.objects.get(kind="booking").is_unmatched


def test_patching_the_evse_changes_nothing_else(caller: Caller, ours: Booking, option: BookingOption) -> None:
    """Checklist 69."""
    caller.send("PUT", path(), booking(ours, booking_option={"evse_uid": "#NA", "drive_through": True}))
    option.depot.evses.create(uid="EVS1234", max_power_w=1)

    assert code(caller.send("PATCH", path(), {"evse_uid": "EVS1234", "last_updated": z(at(9))})) == (
        200,
        1000,
    )

    ours.refresh_from_db()
    assert (ours.evse.uid, ours.status, ours.period) == ("EVS1234", "confirmed", slot(12, 13))
    held = data(caller.get(path()))
    assert held["booking_option"] == {"evse_uid": "EVS1234", "drive_through": True}


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"status": "CANCELED"}, "cancelled"),
        ({"reservation_status": "CANCELLED"}, "cancelled"),
        ({"reservation_status": "FULLFILLED"}, "charging"),
        ({"reservation_status": "NOSHOW"}, "no_show"),
        (
            {
                "reservation_status": "CANCELED",
                "cancelled": {"cancellation_reason": "FULL", "who_canceled": "SENDER"},
            },
            "cancelled",
        ),
    ],
)
def test_states_in_other_words(caller: Caller, ours: Booking, patch: dict[str, Any], status: str) -> None:
    """Checklist 71."""
    caller.send("PUT", path(), booking(ours))

    assert code(caller.send("PATCH", path(), {**patch, "last_updated": z(at(9))})) == (200, 1000)

    ours.refresh_from_db()
    assert ours.status == status
    assert ours.cancelled_by == ("depot" if status == "cancelled" else "")


def test_an_irregular_move_is_followed_and_flagged(caller: Caller, ours: Booking) -> None:
    """Checklist 74."""
    caller.send("PUT", path(), booking(ours, reservation_status="FULFILLED"))
    caller.send("PUT", path(), booking(ours, reservation_status="RESERVED", last_updated=z(at(9))))

    ours.refresh_from_db()
    assert ours.remote_status == "RESERVED"
    assert ours.is_irregular


def test_pending_after_reserved_keeps_the_slot(caller: Caller, ours: Booking) -> None:
    caller.send("PUT", path(), booking(ours))
    caller.send("PUT", path(), booking(ours, reservation_status="PENDING", last_updated=z(at(9))))

    ours.refresh_from_db()
    assert (ours.status, ours.is_irregular) == ("confirmed", False)


def test_an_unknown_state_is_kept_and_changes_nothing(caller: Caller, ours: Booking) -> None:
    assert code(caller.send("PUT", path(), booking(ours, reservation_status="MAYBE"))) == (201, 1000)

    ours.refresh_from_db()
    assert ours.status == "requested"


def test_a_booking_in_the_words_of_1_0(caller: Caller, ours: Booking) -> None:
    """Checklist 67."""
    told = booking(ours)
    old = {k: v for k, v in told.items() if k not in ("booking_option", "booking_tokens", "period")}
    old |= {
        "bookable_parking_option": {},
        "evse_uid": "E-1",
        "tokens": told["booking_tokens"],
        "timeslot": {"start_from": z(at(12)), "end_before": z(at(13))},
    }

    assert code(caller.send("PUT", path(), old)) == (201, 1000)

    ours.refresh_from_db()
    assert (ours.status, ours.evse.uid, ours.period) == ("confirmed", "E-1", slot(12, 13))


def test_patches_in_the_words_of_1_0_keep_what_they_do_not_name(caller: Caller, ours: Booking) -> None:
    """Checklist 67, 70: the object that is patched has those words, too."""
    told, told_offer = booking(ours), offer()
    old = {k: v for k, v in told.items() if k not in ("booking_option", "period")}
    old |= {
        "bookable_parking_option": {"evse_uid": "E-1", "drive_through": True},
        "timeslot": {"start_from": z(at(12)), "end_before": z(at(13))},
    }
    old_offer = {k: v for k, v in told_offer.items() if k not in ("booking_option", "booking_terms")}
    old_offer |= {
        "bookable_parking_options": [told_offer["booking_option"]],
        "booking_terms": [told_offer["booking_terms"]],
    }
    caller.send("PUT", path(), old)
    caller.send("PUT", OFFER, old_offer)

    for where, patch in (
        (path(), {"timeslot": {"end_before": z(at(14))}}),
        (path(), {"bookable_parking_option": {"refrigeration_outlet": True}}),
        (OFFER, {"bookable_parking_options": [{"drive_through": True}]}),
        (OFFER, {"booking_terms": [{"change_until_minutes": 120}]}),
    ):
        assert code(caller.send("PATCH", where, {**patch, "last_updated": "2030-01-15T09:00:00Z"})) == (
            200,
            1000,
        ), patch

    ours.refresh_from_db()
    assert (ours.evse.uid, ours.period) == ("E-1", slot(12, 14))
    kept, kept_offer = data(caller.get(path())), data(caller.get(OFFER))
    assert kept["booking_option"] == {"evse_uid": "E-1", "drive_through": True, "refrigeration_outlet": True}
    assert kept_offer["booking_option"] == {**told_offer["booking_option"], "drive_through": True}
    assert kept_offer["booking_terms"] == {**told_offer["booking_terms"], "change_until_minutes": 120}


def test_bad_bookings_change_nothing(caller: Caller, ours: Booking) -> None:
    for broken in (
        {"id": None}, {"id": "OTHER"}, {"country_code": "DE"}, {"period": None}, {"period": "noon"}, {"request_id": 7 * "x" * 10},
        {"last_updated": "yesterday"}, {"last_updated": None},
    ):  # fmt: skip
        assert code(caller.send("PUT", path(), booking(ours, **broken))) == (200, 2001), broken
    assert code(caller.send("PUT", path(), b"{")) == (400, 2001)
    assert code(caller.send("PUT", path(), [])) == (200, 2001)
    ours.refresh_from_db()
    assert ours.status == "requested"
    assert not PartnerObject.objects.filter(kind="booking").exists()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_methods_that_do_not_exist_here(caller: Caller, method: str) -> None:
    assert code(caller.send(method, path(), {})) == (405, 2000)


@pytest.mark.parametrize(
    "odd", [BASE, f"{BASE}/FR", f"{BASE}/FR/CPO", f"{BASE}/FR/CPO/a/b/c/d", f"{OFFER}/CA-1/x"]
)
def test_paths_that_lead_nowhere(caller: Caller, odd: str) -> None:
    assert caller.get(odd).status_code in (404, 405)


@pytest.mark.parametrize("kind", ["booking_location", "booking"])
def test_each_deviation_of_an_object_that_is_pushed_is_counted(kind: str) -> None:
    """Checklist 68: all of them in turn, each taken."""
    roles = [
        {"role": "CPO", "country_code": "NL", "party_id": party, "name": "N"} for party in ("DEP", "DEPOT")
    ]
    partner = make_partner("DEP", country_code="NL", roles=roles)
    caller = Caller(partner)
    known = sorted((one for one in deviations() if one["kind"] == kind), key=lambda one: "patch" in one)
    where = "booking_locations/BL-7" if kind == "booking_location" else "CB-881"

    for deviation in known:
        body, method = body_of(deviation), "PATCH" if "patch" in deviation else "PUT"
        answer = caller.send(method, f"{BASE}/NL/{body.get('party_id', 'DEP')}/{where}", body)
        assert code(answer)[1] == 1000, (deviation, answer.json())

    assert set(partner.deviations) >= {name for one in known for name in one["noted"]}


# Locations, as they come with a pull


def test_a_location_becomes_a_depot_with_bays_and_hours(partner: Partner, option: BookingOption) -> None:
    monday = {"weekday": 1, "period_begin": "06:00", "period_end": "23:59"}
    bay = {"id": "P1", "vehicle_types": ["SEMI_TRACTOR"], "max_vehicle_length": 1650, "drive_through": True}
    e1 = {
        "uid": "E-1",
        "status": "AVAILABLE",
        "parking": ["P1"],
        "connectors": [plug()],
        "last_updated": z(NOW),
    }
    e2 = {"uid": "E-2", "status": "OUTOFORDER", "connectors": "broken", "last_updated": z(NOW)}
    told = location(
        opening_times={"twentyfourseven": False, "regular_hours": [monday]},
        parking_places=[bay],
        evses=[e1, e2],
    )
    assert option.depot.is_withdrawn, "nobody books a place that is known by its id alone"

    depot = keep_place(partner, told)

    assert depot == option.depot, "the stub an offer made is filled"
    assert (depot.name, depot.time_zone, float(depot.latitude)) == ("Metz", "Europe/Paris", 49.1)
    hours = depot.opening_hours.get()
    assert (hours.weekday, hours.from_minute, hours.to_minute) == (1, 360, 1440)
    evse = depot.evses.get(uid="E-1")
    assert (evse.max_power_w, evse.max_vehicle_length_cm, evse.drive_through) == (400_000, 1650, True)
    assert evse.connectors.get().standard == "IEC_62196_T2_COMBO"
    assert not depot.is_withdrawn
    again = keep_place(partner, {**told, "evses": [], "time_zone": "Mars/Olympus"})
    assert again.is_withdrawn
    assert again.time_zone == "Europe/Paris", "what was understood before is not given up for what is not"


def test_a_location_of_ours_is_never_overwritten(partner: Partner) -> None:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    other = make_partner("OTH", country_code="IT", roles=[role])
    Depot.objects.create(
        operator=other.organisation, code="FR-CPO-LOC-1", location_id="LOC-1", name="Ours", is_mirror=True
    )

    with pytest.raises(UnreadableError, match="somebody else"):
        partner_offers.keep_offer(
            partner, dialect_of(partner).bookings.read_offer(partner, offer()).value, now=NOW
        )
