"""`import_tariffs`: tariffs in OCPI's shape with where they hold; all of a file or nothing, faults by line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Tariff, TariffBinding, TariffVersion
from bookings.pricing.tariff_content import ElementUse, PriceLimit, TaxIncluded
from bookings.rules import configuration
from bookings.rules.tariff_bindings import Tariffs
from depots.models import Evse
from tests.config.commands import refusal, run, warnings
from tests.factories import NOW, make_depot, make_evse, make_fleet, make_operator, option_of

pytestmark = pytest.mark.django_db

Row = dict[str, Any]
ENERGY: Row = {"price_components": [{"type": "ENERGY", "price": 0.42, "vat": 19.0, "step_size": 1}]}


@pytest.fixture
def evse() -> Evse:
    operator = make_operator("Ladepark", country_code="NL", cpo_party_id="LPK")
    return make_evse(make_depot(operator=operator, code="LPK-1"), uid="LPK-1-1")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], Path]:
    def written(content: Any) -> Path:
        path = tmp_path / "tariffs.json"
        path.write_text(json.dumps(content, indent=1))
        return path

    return written


def tariff(*elements: Row, **more: Any) -> Row:
    return {
        "country_code": "NL", "party_id": "LPK", "id": "T1", "currency": "EUR", "tax_included": "NO",
        "elements": list(elements) or [ENERGY], "last_updated": "2026-11-01T10:00:00Z", **more,
    }  # fmt: skip


def component(kind: str, price: Any, **more: Any) -> Row:
    return {"type": kind, "price": price, "step_size": 1, **more}


def element(kind: str, price: Any, **restrictions: Any) -> Row:
    return {"price_components": [component(kind, price)], "restrictions": restrictions}


def held(evse: Evse, *, at: datetime | None = None) -> Tariffs:
    there = configuration.current(evse.depot_id)
    return there.tariffs_for(option_of(evse).pk, evse.pk, make_fleet().pk, at=at or timezone.now())


def test_a_tariff_of_2_3_0_is_made_and_bound(evse, file):
    night = element("ENERGY", 0.32, start_time="22:00", end_time="06:00", day_of_week=["SATURDAY"])
    path = file(
        tariff(
            night, ENERGY, bind={"depot": "lpk-1"}, tax_included="YES", min_price={"before_taxes": 1, "after_taxes": 1.19},
            tariff_alt_text=[{"language": "de", "text": "Nacht"}, {"language": "en", "text": "Night"}], unknown=1,
        )
    )  # fmt: skip

    [printed] = run("import_tariffs", path)

    assert printed == {
        "tariff": "T1", "outcome": "created", "kind": "charging", "operator": "Ladepark", "bound": [{"depot": "lpk-1"}],
    }  # fmt: skip
    charging = held(evse).charging
    assert (charging.name, charging.content.tax_included) == ("Night", TaxIncluded.YES)
    assert charging.content.min_price == PriceLimit(Decimal(1), Decimal("1.19"))
    assert charging.content.elements[0].restrictions.weekdays == {6}
    assert TariffVersion.objects.get().source["unknown"] == 1


def test_a_tariff_of_2_2_1_says_prices_without_tax(evse, file):
    old = tariff(bind=[{"evse": "LPK-1-1"}], max_price={"excl_vat": 10, "incl_vat": 11.9})
    del old["tax_included"]

    run("import_tariffs", file([old]))

    content = held(evse).charging.content
    assert (content.tax_included, content.max_price) == (
        TaxIncluded.NO,
        PriceLimit(Decimal(10), Decimal("11.9")),
    )


def test_a_list_of_both_kinds_binds_each_where_it_says(evse, file):
    rows = [
        tariff(bind={"option": option_of(evse).code}),
        tariff(
            element("FLAT", 25, booking="BOOKING_EXPIRES"),
            id="T2",
            bind={"agreement": {"depot": "LPK-1", "to": "all"}},
        ),
    ]

    printed = run("import_tariffs", file({"tariffs": rows}))

    assert [(row["tariff"], row["kind"]) for row in printed] == [("T1", "charging"), ("T2", "booking")]
    charging, booking = held(evse, at=NOW + timedelta(days=1))
    assert (charging.code, booking.content.elements[0].use) == ("T1", ElementUse.NO_SHOW)


def test_importing_twice_changes_nothing(evse, file):
    path = file([tariff(bind={"depot": "LPK-1"}, start_date_time="2026-01-01T00:00:00Z")])
    run("import_tariffs", path)
    before = [list(model.objects.values()) for model in (Tariff, TariffVersion, TariffBinding)]

    [printed] = run("import_tariffs", path)

    assert printed["outcome"] == "unchanged"
    assert [list(model.objects.values()) for model in (Tariff, TariffVersion, TariffBinding)] == before


def test_a_change_is_a_version_from_its_start_on(evse, file):
    run("import_tariffs", file(tariff(bind={"depot": "LPK-1"})))
    later = timezone.now() + timedelta(days=30)

    dearer = element("ENERGY", 0.52)
    [printed] = run("import_tariffs", file(tariff(dearer, start_date_time=later.isoformat())))

    assert (printed["outcome"], printed["bound"]) == ("updated", None)
    assert held(evse).charging.number == 1
    assert held(evse, at=later).charging.number == 2


FAULTS: dict[str, tuple[Row, str]] = {
    "below zero": (tariff(element("ENERGY", -1)), "elements[0].price_components[0].price"),
    "no currency": (tariff(currency="EUX"), "currency: EUX is no currency"),
    "no elements": ({**tariff(), "elements": []}, "elements"),
    "no price": (tariff({"price_components": []}), "elements[0].price_components"),
    "an unknown price": (tariff(element("SMILES", 1)), "elements[0].price_components[0].type"),
    "no id": ({**tariff(), "id": ""}, "id"),
    "a mix": (tariff(ENERGY, element("FLAT", 5, booking="BOOKING")), "elements[1].restrictions.booking: prices booking"),
    "never": (tariff(element("ENERGY", 1, min_kwh=5, max_kwh=5)), "elements[0].restrictions.max_kwh"),
    "no power ever": (tariff(element("ENERGY", 1, min_power=50, max_power=9)), "elements[0].restrictions.max_power"),
    "no day": (
        tariff(element("ENERGY", 1, start_date="2026-12-01", end_date="2026-12-01")), "elements[0].restrictions.end_date",
    ),
    "only what is not known": (tariff(element("ENERGY", 1, moon="full")), "elements: no element can ever apply"),
    "energy of a booking": (
        tariff(element("ENERGY", 1, booking="BOOKING")), "elements[0].price_components[0].type: only FLAT and TIME",
    ),
    "least above most": (
        tariff(min_price={"before_taxes": 9}, max_price={"before_taxes": 1}), "max_price: is less than min_price",
    ),
    "over": (tariff(end_date_time="2020-01-01T00:00:00Z"), "end_date_time"),
    "nobody's party": (tariff(party_id="XXX"), "party_id: NL*XXX is no depot operator here"),
    "nobody's": ({n: v for n, v in tariff().items() if n != "party_id"}, "party_id: is missing"),
    "an unknown depot": (tariff(bind={"depot": "NOWHERE"}), "bind[0]: NOWHERE is no depot here"),
    "an unknown option": (tariff(bind=[{"option": "NOWHERE"}]), "bind[0]: NOWHERE is no booking option here"),
    "an unknown EVSE": (tariff(bind={"evse": "NOWHERE"}), "bind[0]: NOWHERE is no EVSE here"),
    "no such agreement": (
        tariff(bind={"agreement": {"depot": "LPK-1", "to": "Nobody"}}), "bind[0]: There is no organisation Nobody",
    ),
    "an agreement that is none": (
        tariff(bind={"agreement": {"depot": "OTHER-1", "to": "Ladepark"}}), "bind[0]: OTHER-1 is not open to Ladepark",
    ),
    "somebody else's depot": (tariff(bind={"depot": "OTHER-1"}), "bind[0]: is not of Ladepark"),
    "two owners in one": (tariff(bind=[{"depot": "LPK-1", "evse": "LPK-1-1"}]), "bind[0]: names one of"),
    "no owner": (tariff(bind=[{}]), "bind[0]: names one of"),
    "an owner of another kind": (tariff(bind=[{"town": "Venlo"}]), "bind[0].town"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_by_line_and_field_and_nothing_is_made(evse, file, row, words):
    make_depot(code="OTHER-1")

    refused = refusal("import_tariffs", file([tariff(id="GOOD"), row]))

    assert f"tariffs[1].{words}".replace("tariffs[1]", "[1]") in refused
    assert refused.startswith("Line ")
    assert not Tariff.objects.exists()


def test_two_tariffs_of_a_kind_for_one_owner_are_refused(evse, file):
    rows = [tariff(bind={"depot": "LPK-1"}), tariff(id="T2", bind=[{"evse": "LPK-1-1"}, {"depot": "LPK-1"}])]

    assert "[1].bind[1]: has two charging tariffs" in refusal("import_tariffs", file(rows))


def test_charging_and_booking_in_two_currencies_are_refused(evse, file):
    rows = [
        tariff(bind={"depot": "LPK-1"}),
        tariff(element("FLAT", 5, booking="BOOKING"), id="T2", currency="SEK", bind={"depot": "LPK-1"}),
    ]

    assert "[1].currency: T1 is in EUR, and both would hold" in refusal("import_tariffs", file(rows))


def test_what_is_allowed_and_not_meant_is_warned_of(evse, file):
    rows = tariff(
        ENERGY, element("ENERGY", 0.3, min_kwh=5), element("TIME", 3, moon="full"), bind={"depot": "LPK-1"}
    )

    said = warnings("import_tariffs", file(rows))

    assert len(said) == 2
    assert "T1, elements[1].price_components[0].type: never counts" in said[0]
    assert "T1, elements[2].restrictions: holds a restriction that is not known" in said[1]


def test_a_tariff_that_takes_anothers_place_says_so(evse, file):
    run("import_tariffs", file(tariff(bind={"depot": "LPK-1"})))

    said = warnings("import_tariffs", file(tariff(id="T2", bind={"depot": "LPK-1"})))

    assert said == ["Warning: Tariff T2 takes the place of T1 where it is bound."]
    assert held(evse).charging.code == "T2"


def test_without_a_party_a_tariff_is_of_whom_it_is_bound_to(evse, file):
    row = {name: value for name, value in tariff(bind={"depot": "LPK-1"}).items() if name != "country_code"}

    assert run("import_tariffs", file(row))[0]["operator"] == "Ladepark"


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800", "\\udfff"])
@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("id", "tariffs[0].id"),
        ("note", "tariffs[0].note"),
        ("tariff_alt_text", "tariffs[0].tariff_alt_text[0].text"),
    ],
)
def test_a_character_that_no_table_holds_is_refused_by_field(evse, tmp_path, character, field, said):
    """A tariff's file is kept as it came, with what is not known, too."""
    value: Any = [{"language": "en", "text": "Day@"}] if field == "tariff_alt_text" else "Day@"
    row = {"id": "T1", "currency": "EUR", "elements": [ENERGY], "bind": {"evse": "LPK-1-1"}, field: value}
    path = tmp_path / "tariffs.json"
    path.write_text(json.dumps({"tariffs": [row]}, indent=1).replace("@", character))

    told = refusal("import_tariffs", str(path))

    assert f"{said}: contains a character that is no text." in told
    assert not Tariff.objects.exists()


def test_a_pair_of_surrogates_is_one_character(evse, tmp_path):
    path = tmp_path / "tariffs.json"
    row = {"id": "T1", "currency": "EUR", "elements": [ENERGY], "bind": {"evse": "LPK-1-1"}, "note": "@"}
    path.write_text(json.dumps({"tariffs": [row]}).replace("@", "\\ud83d\\ude9a"))

    run("import_tariffs", str(path))

    assert TariffVersion.objects.get().source["note"] == "\U0001f69a"
