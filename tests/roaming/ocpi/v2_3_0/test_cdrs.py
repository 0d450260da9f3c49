"""Records as CDRs of OCPI 2.3.0, as `show_cdr` prints them (ocpi.md 5.6, 6.3)."""

from __future__ import annotations

import json
from datetime import time
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from bookings import operations, scheduler
from bookings.billing import snapshots
from bookings.billing.cdrs import Issue, credit, lock
from bookings.pricing import tariff_content as ours
from bookings.pricing.tariff_content import Dimension, ElementUse, Restrictions, TariffContent, TariffElement
from roaming.ocpi.v2_3_0.cdrs import mapping as cdrs
from roaming.ocpi.v2_3_0.cdrs.signed_data import signed_data_out
from roaming.ocpi.v2_3_0.tariffs import mapping as tariffs
from tests.billing_factories import VAT, charge, make_version, priced, priced_booking, records
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online
from tests.factories import DISPATCHER, MANAGER, at, make_depot, make_evse, make_operator
from tests.money_factories import make_cdr

pytestmark = pytest.mark.django_db


def shown(name: object) -> dict:
    out = StringIO()
    call_command("show_cdr", str(name), stdout=out)
    return json.loads(out.getvalue())


SIGNED = "OCMF|{}|{}"
BESIDE = {"signedMeterData": "YQ==", "encodingMethod": "EDL", "publicKey": "a key"}


def test_what_the_meter_signed_goes_with_the_record():
    session = charge(priced_booking(), at(10), at(11))
    begin = {"value": SIGNED, "format": "SignedData", "context": "Transaction.Begin"}
    for number, sample in enumerate((begin, {**begin, "context": "Transaction.End"})):
        session.signed_values.create(at=at(10), sample=sample, digest=str(number))

    told = shown(records()[0].code)["signed_data"]

    values = [{"nature": nature, "plain_data": "{}", "signed_data": SIGNED} for nature in ("Start", "End")]
    assert told == {"encoding_method": "OCMF", "signed_values": values}


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ([], None),
        ([{"value": "x" * 5001, "format": "SignedData"}], None),
        (
            [
                {"value": 7, "signedMeterValue": BESIDE},
                {"value": 8, "signedMeterValue": {**BESIDE, "publicKey": "another"}},
            ],
            ("EDL", "a key", [("Intermediate", "7", "YQ==")]),
        ),
        ([{"value": "AB", "format": "SignedData"}], ("unknown", None, [("Intermediate", "", "AB")])),
        (
            [{"value": "OCMF|" + "x" * 513 + "|s", "format": "SignedData"}],
            ("OCMF", None, [("Intermediate", "x" * 513, "OCMF|" + "x" * 513 + "|s")]),
        ),
    ],
)
def test_signed_samples_of_either_version_as_ocpi_has_them(samples, told):
    data = signed_data_out(samples)

    found = data and (
        data.encoding_method,
        data.public_key,
        [(value.nature, value.plain_data, value.signed_data) for value in data.signed_values],
    )
    assert found == told


def test_a_session_with_its_booking_and_overtime():
    booking = priced_booking()
    session = charge(booking, at(10), at(11, 30))

    told = shown(records()[0].code)

    operator, evse, token = booking.depot.operator, booking.evse, booking.tokens.get()
    assert (told["country_code"], told["party_id"], told["id"]) == (
        "NL",
        operator.cpo_party_id,
        records()[0].code,
    )
    assert (told["booking_id"], told["session_id"]) == (booking.reference, str(session.pk))
    assert (told["start_date_time"], told["end_date_time"]) == (
        "2030-01-15T10:00:00Z",
        "2030-01-15T11:30:00Z",
    )
    assert (told["auth_method"], told["cdr_token"]["uid"], told["cdr_token"]["type"]) == (
        "WHITELIST",
        token.uid,
        "RFID",
    )
    assert (told["cdr_location"]["id"], told["cdr_location"]["evse_uid"]) == (
        booking.depot.location_id,
        evse.uid,
    )
    booked, charged, over = told["charging_periods"]
    assert booked["dimensions"] == [{"type": "RESERVATION_TIME", "volume": 1}]
    assert charged["dimensions"] == [{"type": "ENERGY", "volume": 100}, {"type": "TIME", "volume": 1.5}]
    assert over["dimensions"] == [{"type": "RESERVATION_OVERTIME", "volume": 0.5}]
    assert booked["tariff_id"] == over["tariff_id"] == booking.booking_tariff.tariff.code
    assert charged["tariff_id"] == booking.charging_tariff.tariff.code
    assert (told["total_energy"], told["total_time"], told["currency"]) == (100, 1.5, "EUR")
    vat = {"name": "VAT", "percentage": 19}
    assert told["total_reservation_cost"] == {"before_taxes": 35, "taxes": [{**vat, "amount": 6.65}]}
    assert told["total_energy_cost"] == {"before_taxes": 50, "taxes": [{**vat, "amount": 9.5}]}
    assert told["total_cost"] == {"before_taxes": 85, "taxes": [{**vat, "amount": 16.15}]}
    assert not {"signed_data", "credit", "total_fixed_cost", "total_parking_cost"} & told.keys()
    assert [tariff["id"] for tariff in told["tariffs"]] == [
        booking.charging_tariff.tariff.code, booking.booking_tariff.tariff.code,
    ]  # fmt: skip
    assert told["tariffs"][1]["elements"][1] == {
        "price_components": [{"type": "FLAT", "price": 30, "vat": 19, "step_size": 1}],
        "restrictions": {"booking": "BOOKING_EXPIRES"},
    }


def test_a_no_show_has_no_session_and_costs_what_its_booking_does():
    """Checklist 84."""
    booking = priced_booking()
    scheduler.run_tick(at(10, 15))

    told = shown(records()[0].pk)

    assert "session_id" not in told
    assert (told["booking_id"], told["auth_method"]) == (booking.reference, "COMMAND")
    assert (told["total_energy"], told["total_time"]) == (0, 0)
    assert told["total_reservation_cost"] == told["total_cost"]
    (period,) = told["charging_periods"]
    assert period["dimensions"] == [{"type": "RESERVATION_EXPIRES", "volume": 1}]
    assert told["cdr_token"]["uid"] == booking.tokens.get().uid


def test_a_late_cancellation_has_no_reserved_time():
    evse = evse_online(make_depot(terms={**TERMS, "cancel_until_min": 60, "late_cancel": True}))
    booking = priced(book(evse))
    operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=at(9, 30)
    )

    told = shown(records()[0].code.lower())

    (period,) = told["charging_periods"]
    assert period == {
        "start_date_time": "2030-01-15T09:30:00Z",
        "dimensions": [{"type": "RESERVATION_TIME", "volume": 0}],
        "tariff_id": booking.booking_tariff.tariff.code,
    }
    assert "cancellation" in told["remark"]


def test_a_credit_negates_only_the_total_and_names_the_original():
    charge(priced_booking())
    (cdr,) = records()
    with transaction.atomic():
        taken_back = credit(lock(cdr), Issue(MANAGER, at(12), "A mistake"))

    first, told = shown(cdr.pk), shown(taken_back.pk)

    differ = {name for name in first.keys() | told.keys() if first.get(name) != told.get(name)}
    assert differ == {"id", "total_cost", "credit", "credit_reference_id", "last_updated"}
    assert told["total_cost"] == {
        "before_taxes": -55, "taxes": [{"name": "VAT", "percentage": 19, "amount": -10.45}],
    }  # fmt: skip
    assert (told["credit"], told["credit_reference_id"], told["id"]) == (True, cdr.code, f"{cdr.code}-C")


def test_where_no_evse_was_assigned_its_ids_say_so():
    place = {
        "location_id": "L", "name": "", "address": "", "city": "", "postal_code": "", "country": "NLD", "latitude": None,
        "longitude": None,
    }  # fmt: skip

    told = cdrs._location_out(place).wire()

    assert (told["evse_uid"], told["evse_id"], told["connector_id"]) == ("#NA", "#NA", "#NA")


@pytest.mark.parametrize(("public_id", "evse_id"), [("DE*NFR*E1", "DE*NFR*E1"), ("", "U-1")])
def test_an_evse_is_named_by_its_evse_id_and_by_its_uid(public_id: str, evse_id: str):
    """Whose operator has given none has its uid in both: #NA is not for what somebody could fill (transport_and_format)."""
    evse = make_evse(uid="U-1", public_id=public_id)

    told = cdrs._location_out(snapshots.place_of(evse.depot, evse)).wire()

    assert (told["evse_uid"], told["evse_id"]) == ("U-1", evse_id)


def test_an_id_that_names_none_or_several_is_refused():
    depot, other = make_depot(), make_depot()
    make_cdr(depot=depot, code="A-1")
    make_cdr(depot=other, code="a-1")

    for name in ("A-1", "nothing", "99999999999999999999"):
        with pytest.raises(CommandError):
            call_command("show_cdr", name)


@pytest.mark.parametrize(
    ("table", "enum"),
    [(tariffs.DIMENSION, Dimension), (tariffs.USE, ElementUse), (tariffs.TAX_INCLUDED, ours.TaxIncluded)],
)
def test_every_word_of_ours_has_one_of_ocpis(table, enum):
    assert set(table) == set(enum)


def test_a_tariff_with_every_restriction():
    held = Restrictions(
        start_time=time(22), end_time=time(6), weekdays=frozenset({6, 7}), min_kwh=Decimal(5), max_power_kw=Decimal("22.5"),
        max_duration_s=3600,
    )  # fmt: skip
    component = ours.PriceComponent(Dimension.ENERGY, Decimal("0.25"), VAT, 100)
    secret = TariffElement((component,), Restrictions(is_understood=False))
    content = TariffContent(
        "EUR", (TariffElement((component,), held), secret), ours.PriceLimit(Decimal(1), Decimal("1.19")),
        tax_included=ours.TaxIncluded.NOT_APPLICABLE,
    )  # fmt: skip
    version = make_version(make_operator(), content)

    told = tariffs.tariff_out(version, content).wire()

    assert told["elements"] == [
        {
            "price_components": [{"type": "ENERGY", "price": 0.25, "vat": 19, "step_size": 100}],
            "restrictions": {
                "start_time": "22:00", "end_time": "06:00", "day_of_week": ["SATURDAY", "SUNDAY"], "min_kwh": 5,
                "max_power": 22.5, "max_duration": 3600,
            },
        }
    ]  # fmt: skip
    assert (told["tax_included"], told["min_price"]) == ("N/A", {"before_taxes": 1, "after_taxes": 1.19})
