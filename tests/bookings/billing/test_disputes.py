"""A record is waived, disputed and answered in words that both sides read, and only ever credited."""

from __future__ import annotations

import pytest

from bookings.billing.disputes import answer_dispute, raise_dispute, version_of_record, waive
from bookings.billing.errors import DisputedAlready, LineUnknown, ReasonMissing, RecordSettled
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.models import ChargeDetailRecord
from tests.billing_factories import amounts, charge, correct, priced_booking, records, standing, uses
from tests.factories import DISPATCHER, MANAGER, at

pytestmark = pytest.mark.django_db

FEE, ENERGY = 0, 1


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

    correct(cdr.session, at(10, 40), 120_000, now=at(14))

    found.refresh_from_db()
    assert (found.cdr, found.line, found.outcome) == (standing()[0], ENERGY, "open")


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
