"""Asking for access, offering it, answering, ending it and taking the end back (docs/decisions/0146)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import errors, operations
from bookings.models import AgreementEvent, AgreementProposal, Booking, Occurrence
from bookings.operations.agreements import (
    accept_proposal,
    ask_for_access,
    decline_proposal,
    offer_access,
    withdraw_proposal,
)
from bookings.operations.end_agreement import end_agreement, ending_version, take_back_end, touched
from bookings.operations.open_depot import open_depot
from bookings.operations.undo import book_anew
from bookings.rules.content_version import version_of
from depots.models import Agreement, Depot, Organisation
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def depot() -> Depot:
    return make_depot(open_to_all=False, time_zone="UTC")


@pytest.fixture
def guest() -> Organisation:
    return make_fleet()


def asked(depot: Depot, guest: Organisation, **told: Any) -> AgreementProposal:
    return ask_for_access(depot=depot, guest=guest, actor=DISPATCHER, now=NOW, **told)


def answer(proposal: AgreementProposal) -> dict[str, Any]:
    return {"proposal_id": proposal.pk, "seen_version": version_of(proposal), "actor": MANAGER, "now": NOW}


def book(depot: Depot, guest: Organisation, period: Any = None, **asked: Any) -> Booking:
    vehicle = None if guest.is_partner else make_vehicle(guest)
    evse = asked.pop("evse", None) or make_evse(depot)
    return book_slot(
        fleet=guest, option=option_of(evse), vehicle=vehicle, period=period or slot(10, 11), **asked
    )


def test_what_is_asked_for_opens_nothing_before_it_is_accepted(depot, guest):
    evse = make_evse(depot)
    proposal = asked(depot, guest, message="Twelve trucks a day")

    with pytest.raises(errors.NotOpenToYou):
        book(depot, guest, evse=evse)
    agreement = accept_proposal(**answer(proposal))

    assert book(depot, guest, evse=evse).status == "confirmed"
    assert (agreement.guest, agreement.starts_at, agreement.ends_at) == (guest, NOW, None)
    proposal.refresh_from_db()
    assert (proposal.state, proposal.answered_at, proposal.answered_by_name) == (
        "accepted",
        NOW,
        MANAGER.name,
    )
    assert agreement.events.get().kind == AgreementEvent.Kind.OPENED


def test_an_offer_has_the_end_that_was_proposed(depot, guest):
    offer = offer_access(depot=depot, guest=guest, ends_at=at(8, day=30), actor=MANAGER, now=NOW)

    agreement = accept_proposal(**answer(offer))

    assert agreement.ends_at == at(8, day=30)


@pytest.mark.parametrize(
    ("close", "state"), [(decline_proposal, "declined"), (withdraw_proposal, "withdrawn")]
)
def test_one_that_is_over_is_not_answered_again_and_may_be_made_anew(depot, guest, close, state):
    proposal = asked(depot, guest)

    assert close(**answer(proposal)).state == state
    with pytest.raises(errors.ProposalAnswered):
        accept_proposal(**answer(proposal))

    assert not Agreement.objects.filter(depot=depot).exists()
    assert asked(depot, guest).waits


def test_one_waits_at_a_time_and_none_for_what_is_open(depot, guest):
    asked(depot, guest)

    with pytest.raises(errors.ProposalWaits):
        offer_access(depot=depot, guest=guest, actor=MANAGER, now=NOW)
    open_depot(depot=depot, guest=None, now=NOW)
    with pytest.raises(errors.OpenAlready):
        asked(depot, make_fleet())
    with pytest.raises(errors.OpenAlready):
        asked(depot, depot.operator)


def test_what_was_looked_at_is_what_is_accepted(depot, guest):
    proposal = asked(depot, guest)

    with pytest.raises(errors.ChangedMeanwhile):
        accept_proposal(**{**answer(proposal), "seen_version": 1})


def test_an_end_lies_ahead(depot, guest):
    with pytest.raises(errors.InThePast):
        asked(depot, guest, ends_at=NOW)


def test_the_command_opens_at_once_and_closes_no_proposal(depot, guest):
    proposal = asked(depot, guest)

    open_depot(depot=depot, guest=guest, now=NOW)
    agreement = accept_proposal(**answer(proposal))

    assert agreement.events.count() == 1


def opened(depot: Depot, guest: Organisation | None) -> Agreement:
    return open_depot(depot=depot, guest=guest, now=NOW - timedelta(days=9))[0]


def test_an_end_touches_what_reaches_beyond_it_and_no_other_agreement_lasts_for(depot, guest):
    agreement, other = opened(depot, guest), make_fleet()
    opened(depot, other)
    before, beyond = book(depot, guest), book(depot, guest, slot(11, 13))
    held_evse = make_evse(depot)
    vehicle = make_vehicle(guest)
    held = place_hold(fleet=guest, option=option_of(held_evse), vehicle=vehicle, period=slot(14, 15))
    book(depot, other, slot(12, 13))
    book(depot, depot.operator, slot(12, 13))

    assert touched(agreement, at(12), now=NOW) == [beyond, held]
    assert touched(agreement, NOW, now=NOW) == [before, beyond, held]

    opened(depot, None)
    assert touched(agreement, NOW, now=NOW) == []


def test_what_is_open_to_all_ends_for_all_but_those_with_an_agreement_of_their_own(depot, guest):
    everybody, other = opened(depot, None), make_fleet()
    opened(depot, guest)
    book(depot, guest)
    theirs = book(depot, other)

    assert touched(everybody, NOW, now=NOW) == [theirs]


def test_of_what_an_end_touches_the_manager_cancels_what_he_chooses(depot, guest):
    agreement = opened(depot, guest)
    kept, gone = book(depot, guest), book(depot, guest, slot(12, 13))
    version = ending_version(agreement, touched(agreement, NOW, now=NOW))

    ending = end_agreement(
        agreement_id=agreement.pk, cancel={gone.pk}, seen_version=version, actor=MANAGER, now=NOW
    )

    kept.refresh_from_db()
    gone.refresh_from_db()
    assert ([b.pk for b in ending.cancelled], [b.pk for b in ending.kept]) == ([gone.pk], [kept.pk])
    assert (kept.status, gone.status, gone.cancelled_by) == ("confirmed", "cancelled", "depot")
    assert "ended" in gone.note
    with pytest.raises(errors.NotOpenToYou):
        book(depot, guest, slot(15, 16))


def test_an_end_ahead_keeps_the_agreement_in_force_until_then(depot, guest):
    agreement = opened(depot, guest)

    end_agreement(agreement_id=agreement.pk, ends_at=at(12), actor=MANAGER, now=NOW)

    assert book(depot, guest).status == "confirmed"
    with pytest.raises(errors.OutsideGuestHours):
        book(depot, guest, slot((11, 30), (12, 30)))
    with pytest.raises(errors.InThePast):
        end_agreement(agreement_id=agreement.pk, ends_at=at(7), actor=MANAGER, now=NOW)


def test_an_end_is_refused_where_it_touches_other_bookings_by_now(depot, guest):
    agreement = opened(depot, guest)
    version = ending_version(agreement, touched(agreement, NOW, now=NOW))
    book(depot, guest)

    with pytest.raises(errors.ChangedMeanwhile):
        end_agreement(agreement_id=agreement.pk, seen_version=version, actor=MANAGER, now=NOW)

    agreement.refresh_from_db()
    assert agreement.ends_at is None


def test_what_has_ended_is_not_ended_again(depot, guest):
    agreement = opened(depot, guest)
    end_agreement(agreement_id=agreement.pk, actor=MANAGER, now=NOW)

    with pytest.raises(errors.AgreementOver):
        end_agreement(agreement_id=agreement.pk, actor=MANAGER, now=NOW + timedelta(minutes=1))


def ended(agreement: Agreement, *gone: Booking, **told: Any) -> Agreement:
    cancel = {booking.pk for booking in gone}
    return end_agreement(agreement_id=agreement.pk, cancel=cancel, actor=MANAGER, now=NOW, **told).agreement


def test_an_end_taken_back_books_again_what_was_cancelled_with_it(depot, guest):
    agreement, evse = opened(depot, guest), make_evse(depot)
    gone, lost = book(depot, guest, evse=evse), book(depot, guest, slot(12, 13), evse=evse)
    agreement = ended(agreement, gone, lost)
    book(depot, depot.operator, slot(12, 13), evse=evse)

    again = take_back_end(
        agreement_id=agreement.pk, seen_version=version_of(agreement), actor=MANAGER, now=NOW
    )

    assert again.agreement.ends_at is None
    assert [booking.period for booking in again.booked] == [gone.period]
    assert [booking.pk for booking, _ in again.refused] == [lost.pk]
    assert [event.kind for event in agreement.events.all()] == ["opened", "ended", "reopened"]


def test_who_is_killed_while_an_end_is_taken_back_leaves_the_rest_to_a_job(depot, guest, monkeypatch):
    agreement, evse = opened(depot, guest), make_evse(depot)
    gone = [book(depot, guest, slot(hour, hour + 1), evse=evse) for hour in (10, 12, 14)]
    agreement = ended(agreement, *gone)
    jobs: list[int] = []
    monkeypatch.setattr("bookings.tasks.book_again.send", jobs.append)
    booked_by_then = []

    def killed_at_the_second(booking_id, **told):
        if booking_id == gone[1].pk:
            booked_by_then.extend(Booking.objects.live().filter(fleet=guest))
            raise KeyboardInterrupt
        return book_anew(booking_id, **told)

    monkeypatch.setattr("bookings.operations.end_agreement.book_anew", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        take_back_end(agreement_id=agreement.pk, seen_version=version_of(agreement), actor=MANAGER, now=NOW)
    monkeypatch.undo()
    event = agreement.events.get(kind="reopened")
    assert (len(booked_by_then), jobs) == (1, [event.pk])
    assert not Occurrence.objects.filter(kind="agreement_reopened").exists()

    for _ in range(2):
        again = operations.book_again(event_id=event.pk, now=NOW)

    assert [booking.period for booking in again.booked] == [booking.period for booking in gone]
    assert Booking.objects.live().filter(fleet=guest).count() == 3
    told = Occurrence.objects.get(kind="agreement_reopened")
    assert (told.organisation, told.params["again"], told.params["lost"]) == (guest, 3, 0)


def test_a_partners_bookings_are_its_own_to_book_again(depot):
    partner = make_partner().organisation
    agreement = opened(depot, partner)
    agreement = ended(agreement, book(depot, partner, tokens=[]))

    again = take_back_end(
        agreement_id=agreement.pk, seen_version=version_of(agreement), actor=MANAGER, now=NOW
    )

    assert (again.booked, again.refused) == ([], [])


@pytest.mark.parametrize(("minutes", "is_late"), [(9, False), (10, True)])
def test_an_end_that_has_come_is_taken_back_for_ten_minutes(depot, guest, minutes, is_late):
    agreement = ended(opened(depot, guest))
    told = {"agreement_id": agreement.pk, "seen_version": version_of(agreement), "actor": MANAGER}
    later = NOW + timedelta(minutes=minutes)

    if is_late:
        with pytest.raises(errors.AgreementOver):
            take_back_end(now=later, **told)
    else:
        assert take_back_end(now=later, **told).agreement.is_in_force(later)


def test_an_end_ahead_is_taken_back_until_it_comes_with_the_one_before(depot, guest):
    agreement = opened(depot, guest)
    ended(agreement, ends_at=at(8, day=40))
    agreement = ended(agreement, ends_at=at(8, day=20))
    told = {"agreement_id": agreement.pk, "seen_version": version_of(agreement), "actor": MANAGER}

    assert take_back_end(now=at(8, day=10), **told).agreement.ends_at == at(8, day=40)


def test_one_that_ended_is_taken_up_again_with_its_history(depot, guest):
    agreement = ended(opened(depot, guest))

    accept_proposal(**{**answer(asked(depot, guest)), "now": NOW + timedelta(hours=1)})

    agreement.refresh_from_db()
    assert agreement.is_in_force(NOW + timedelta(hours=1))
    assert [event.kind for event in agreement.events.all()] == ["opened", "ended", "opened"]
