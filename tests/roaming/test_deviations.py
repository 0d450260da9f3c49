"""What a partner does otherwise than OCPI has it is counted by rule, with the newest message that did so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from roaming import deviations
from roaming.deviations import Example
from roaming.models import Deviation, Partner, PartnerMessage
from tests.factories import NOW, make_evse, option_of, slot
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(clock: Any) -> Caller:
    return Caller(make_partner("ABC"))


def kept(partner: Partner, rule: str, status: int = 0) -> Deviation:
    return Deviation.objects.get(partner=partner, rule=rule, code=status)


def test_a_rule_keeps_its_first_and_last_time_and_its_newest_message(caller: Caller, clock: Any) -> None:
    option = option_of(make_evse())
    odd = booking_request(caller.party, option, slot(10, 11), evse_uid="E")
    caller.post(BOOKINGS, odd, **{"X-Request-ID": "r-1"})
    clock.shift(timedelta(minutes=5))

    caller.post(BOOKINGS, {**odd, "note": "newest"}, **{"X-Request-ID": "r-2"})

    row = kept(caller.partner, "booking_request.evse_uid")
    assert (row.times, row.first_at, row.last_at) == (2, NOW, NOW + timedelta(minutes=5))
    assert (row.example["method"], row.example["url"], row.request_id) == ("POST", BOOKINGS, "r-2")
    assert '"note": "newest"' in row.example["body"]


def test_what_was_refused_counts_by_code_and_field_with_our_answer(caller: Caller) -> None:
    option = option_of(make_evse())
    wrong = booking_request(caller.party, option, slot(10, 11))
    wrong["tokens"] = [wrong["tokens"][0], {**wrong["tokens"][0], "uid": None}]

    assert code(caller.post(BOOKINGS, {**wrong, "token": "secret"})) == (200, 2001)
    assert code(caller.get(f"{BOOKINGS}/nowhere")) == (404, 2000)

    refused = kept(caller.partner, "tokens.#.uid", 2001)
    assert refused.times == 1
    assert '"status_code": 2001' in refused.example["answer"]
    assert "secret" not in refused.example["body"]
    assert kept(caller.partner, "GET bookings", 2000).times == 1


def test_an_example_is_cut(caller: Caller) -> None:
    caller.post(BOOKINGS, {"party_id": "?" * 100_000})

    example = Deviation.objects.get().example
    assert len(example["body"]) == deviations.LONGEST_EXAMPLE


def test_a_deviation_counts_though_what_the_message_asked_for_was_taken_back(caller: Caller) -> None:
    def fail() -> None:
        with transaction.atomic():
            deviations.count(caller.partner, ["id.too_long"])
            raise RuntimeError

    with deviations.collecting() as odd, pytest.raises(RuntimeError):
        fail()
    deviations.record(caller.partner.pk, odd, Example(NOW))

    assert caller.partner.deviations == {"id.too_long": 1}


def test_refusals_neither_fill_the_list_of_deviations_nor_stop_counting() -> None:
    partner = make_partner("XYZ")
    Deviation.objects.bulk_create(
        Deviation(partner=partner, code=2001, rule=f"made.up.{n}", first_at=NOW, last_at=NOW)
        for n in range(200)
    )

    deviations.record(partner.pk, ["one.more"], Example(NOW), code=2001)
    deviations.record(partner.pk, ["made.up.7"], Example(NOW), code=2001)
    deviations.record(partner.pk, ["id.too_long"], Example(NOW))

    assert not Deviation.objects.filter(rule="one.more").exists()
    assert kept(partner, "made.up.7", 2001).times == 2
    assert partner.deviations == {"id.too_long": 1}


def test_the_log_says_what_became_of_a_message_with_its_headers(caller: Caller) -> None:
    caller.get("/ocpi/versions", **{"X-Correlation-ID": "c-1"})
    caller.post(BOOKINGS, {})
    caller.get("/ocpi/nowhere")

    read, posted, lost = PartnerMessage.objects.order_by("pk")
    assert [(m.outcome, m.http_status, m.status_code) for m in (read, posted, lost)] == [
        ("ok", 200, 1000),
        ("refused", 200, 2001),
        ("refused", 404, 2000),
    ]
    assert "X-Correlation-Id: c-1" in read.request_headers
    assert "Authorization: Token …" in read.request_headers
    assert caller.headers["Authorization"] not in read.request_headers
    assert "X-Correlation-ID: c-1" in read.response_headers
