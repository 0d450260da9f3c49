"""A record is waived, disputed and answered in words that both sides read, and only ever credited."""

from __future__ import annotations

import pytest

from bookings import scheduler
from bookings.billing import cdrs, disputes, open_disputes
from bookings.billing.cdrs import Issue, credit, lock, reissue, settle_session
from bookings.billing.corrections import credit_invoice
from bookings.billing.disputes import answer_dispute, raise_dispute, version_of_record, waive
from bookings.billing.errors import DisputedAlready, LineUnknown, ReasonMissing, RecordSettled
from bookings.billing.reduced_bills import without_line
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import ChargeDetailRecord, NumberSequence
from bookings.pricing.bills import Bill
from depots import operations as depots
from tests.billing_factories import (
    CHARGING,
    amounts,
    charge,
    priced,
    priced_booking,
    records,
    standing,
    uses,
)
from tests.bookings.billing.billed import ISSUED, bill_november, make_buyer, make_site, record
from tests.bookings.enforcement.charging_trucks import stop
from tests.factories import DISPATCHER, MANAGER, at

pytestmark = pytest.mark.django_db

FEE, ENERGY = 0, 1
BILL = {"lines": [{"use": "no_show", "dimension": "flat", "element": 0, "price": "30"}]}


@pytest.fixture
def cdr() -> ChargeDetailRecord:
    charge(priced_booking())
    return records()[0]


def dispute(cdr: ChargeDetailRecord, line: int | None = FEE, **said):
    said = {"reason": "The bay was blocked", **said}
    return raise_dispute(cdr_id=cdr.pk, line=line, actor=DISPATCHER, now=at(12), **said)


def answer(found, accepts: bool, text: str = "We looked it up", **said):
    return answer_dispute(
        dispute_id=found.pk, accepts=accepts, answer=text, actor=MANAGER, now=at(13), **said
    )


def seen(found) -> tuple[tuple[str, str], ChargeDetailRecord]:
    found.refresh_from_db()
    return (found.outcome, found.answer), found.cdr


def correct(cdr: ChargeDetailRecord, wh: int) -> None:
    """The charger tells another register after all."""
    cdr.session.meter_stop_wh = cdr.session.meter_start_wh + wh
    cdr.session.save(update_fields=["meter_stop_wh"])
    settle_session(cdr.session, now=at(14))


def timeline(cdr: ChargeDetailRecord) -> list[tuple[str, str]]:
    kinds = ["fee_waived", "disputed", "dispute_accepted", "dispute_rejected"]
    return [(event.kind, event.detail.get("reason")) for event in cdr.booking.events.filter(kind__in=kinds)]


def test_a_waiver_credits_the_record_and_says_why_in_the_timeline(cdr):
    credit = waive(cdr_id=cdr.pk, reason="Goodwill", actor=MANAGER, now=at(12))

    assert (credit.credits, credit.reason, amounts([credit])) == (cdr, "Goodwill", [("-55.00", "-10.45")])
    assert (timeline(cdr), standing()) == ([("fee_waived", "Goodwill")], [])


def test_a_dispute_of_a_line_that_is_accepted_leaves_the_other_lines_due(cdr):
    answer(dispute(cdr), True)

    first, taken_back, left = records()
    assert amounts([first, taken_back, left]) == [("55.00", "10.45"), ("-55.00", "-10.45"), ("50.00", "9.50")]
    assert (left.replaces, uses(left), left.net_by_rate) == (cdr, [("charging", "energy")], [["19", "50.00"]])
    assert left.bill["reservation"] == {"before_taxes": "0", "taxes": []}
    assert timeline(cdr) == [("disputed", "The bay was blocked"), ("dispute_accepted", "We looked it up")]


def test_a_dispute_of_the_whole_that_is_accepted_leaves_nothing_due(cdr):
    answer(dispute(cdr, None), True, "")

    assert standing() == []


def test_a_rejected_dispute_changes_nothing_and_says_why(cdr):
    found = dispute(cdr)
    with pytest.raises(ReasonMissing):
        answer(found, False, " ")

    rejected = answer(found, False)

    assert (rejected.outcome, rejected.answer, rejected.answered_by_name) == (
        "rejected",
        "We looked it up",
        MANAGER.name,
    )
    assert standing() == [cdr]
    assert timeline(cdr)[-1] == ("dispute_rejected", "We looked it up")


def test_a_dispute_is_answered_once(cdr):
    found = dispute(cdr)
    answer(found, True)

    with pytest.raises(RecordSettled):
        answer(found, False)
    assert len(records()) == 3


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"line": 7}, LineUnknown),
        ({"line": -1}, LineUnknown),
        ({"reason": "  "}, ReasonMissing),
        ({"seen_version": 9}, ChangedMeanwhile),
    ],
)
def test_a_dispute_that_says_too_little_or_saw_too_little_is_refused(cdr, said, refusal):
    with pytest.raises(refusal):
        dispute(cdr, **{"line": FEE, **said})


def test_the_same_is_disputed_once_at_a_time(cdr):
    found = dispute(cdr)
    dispute(cdr, ENERGY)
    with pytest.raises(DisputedAlready):
        dispute(cdr)

    answer(found, False)

    assert dispute(cdr).outcome == "open"


def test_what_was_credited_is_neither_disputed_nor_waived_again(cdr):
    credit = waive(cdr_id=cdr.pk, reason="Goodwill", actor=MANAGER, now=at(12))

    for settled in (cdr, credit):
        with pytest.raises(RecordSettled):
            dispute(settled)
        with pytest.raises(RecordSettled):
            waive(cdr_id=settled.pk, reason="Again", actor=MANAGER, now=at(12))


def test_other_disputes_go_with_the_record_that_replaces_theirs(cdr):
    fee, energy = dispute(cdr, FEE), dispute(cdr, ENERGY)

    answer(fee, True)

    energy.refresh_from_db()
    assert (energy.cdr, energy.line) == (standing()[0], 0)
    answer(energy, True)
    assert amounts(standing()) == [("0.00", "0.00")]


def test_a_dispute_goes_with_a_correction_by_the_charger(cdr):
    found = dispute(cdr, ENERGY)

    correct(cdr, 80_000)

    found.refresh_from_db()
    assert (found.cdr, found.line, found.outcome) == (standing()[0], ENERGY, "open")
    assert found.cdr != cdr


def test_of_two_disputes_that_come_to_say_the_same_one_goes_on(cdr):
    whole, energy = dispute(cdr, None), dispute(cdr, ENERGY)
    answer(dispute(cdr, FEE), True)
    of_fee_alone = without_line(Bill.from_json(cdr.bill), ENERGY)

    credit(lock(standing()[0]), Issue(MANAGER, at(15)))
    reissue(records(credits=None)[-1], of_fee_alone, Issue(MANAGER, at(15)))

    assert [seen(one)[0] for one in (whole, energy)] == [("open", ""), ("accepted", open_disputes.MERGED)]
    assert seen(whole)[1] == standing()[0]


def test_a_correction_that_leaves_nothing_due_settles_what_was_disputed(cdr):
    found = dispute(cdr)
    priced(cdr.booking, CHARGING.__class__("EUR", ()), None)

    correct(cdr, 0)

    assert standing() == []
    assert seen(found)[0] == ("accepted", open_disputes.CREDITED)


def test_a_vehicle_that_had_come_after_all_settles_the_dispute_of_its_no_show():
    booking = priced_booking()
    scheduler.run_tick(at(10, 16))
    found = dispute(standing(kind="no_show")[0])

    late = depots.Start(
        evse_number=1, token_uid=booking.tokens.get().uid, key="late", at=at(10, 5), meter_wh=1000
    )
    begun = depots.start_session(charger_id=booking.evse.charger_id, start=late, now=at(10, 50))
    stop(begun.session, at(10, 45), 50_000)

    assert standing(kind="no_show") == []
    assert seen(found)[0] == ("accepted", open_disputes.CREDITED)


def test_an_invoice_taken_back_settles_what_was_disputed_of_it():
    cdr = record(make_site(), make_buyer(), bill=BILL)
    bill_november(cdr.operator)
    found = dispute(cdr)

    NumberSequence.objects.create(organisation=cdr.operator, series=cdrs.SERIES, last=cdr.number)
    credit_invoice(invoice_id=cdr.invoiced.invoice_id, reason="Wrong", actor=MANAGER, now=ISSUED)

    assert seen(found)[0] == ("accepted", open_disputes.CREDITED)


def test_a_dispute_is_not_answered_on_a_record_it_has_left_meanwhile(cdr, monkeypatch):
    found, lock_booking = dispute(cdr, ENERGY), disputes.lock_booking

    def after_a_correction(booking_id):
        correct(cdr, 80_000)
        return lock_booking(booking_id)

    monkeypatch.setattr(disputes, "lock_booking", after_a_correction)
    with pytest.raises(ChangedMeanwhile):
        answer(found, True)

    monkeypatch.undo()
    answer(found, True)
    assert uses(standing()[0]) == [("booking", "flat")]


def test_a_waiver_answers_what_was_disputed(cdr):
    found = dispute(cdr)

    waive(cdr_id=cdr.pk, reason="Goodwill", actor=MANAGER, now=at(12))

    found.refresh_from_db()
    assert (found.outcome, found.answer) == ("accepted", "The depot waived the record.")


def test_who_acts_on_an_old_page_is_told(cdr):
    seen = version_of_record(cdr)
    dispute(cdr, seen_version=seen)

    with pytest.raises(BookingError, match="meanwhile"):
        waive(cdr_id=cdr.pk, reason="Goodwill", seen_version=seen, actor=MANAGER, now=at(12))
