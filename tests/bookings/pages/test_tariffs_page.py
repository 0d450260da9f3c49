"""Tariffs on their pages: what holds where, and an editor that says what it means."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.models import Tariff, TariffVersion
from bookings.operations.tariffs import version_of_tariff
from bookings.pages.forms.tariff import rows_of
from bookings.pricing.tariff_content import (
    Dimension,
    PriceComponent,
    PriceLimit,
    TariffContent,
    TariffElement,
)
from bookings.rules import configuration
from bookings.rules.tariff_bindings import Tariffs
from depots.models import Evse, Membership, Organisation
from tests.bookings.people import client_of
from tests.factories import NOW, make_depot, make_evse, make_operator, make_user, option_of
from tests.money_factories import add_version, flat, make_bound, per_kwh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def operator() -> Organisation:
    return make_operator("Ladepark")


@pytest.fixture
def evse(operator: Organisation) -> Evse:
    return make_evse(make_depot(operator=operator, code="LPK-1", name="Venlo"), uid="LPK-1-1")


@pytest.fixture
def manager(operator: Organisation, evse: Evse) -> Client:
    return client_of(make_user(operator, role=Membership.Role.DEPOT_MANAGER))


def newest() -> dict[str, str]:
    return {"version": str(version_of_tariff(Tariff.objects.get()))}


def sent(evse: Evse, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A form as a browser sends it."""
    fields: dict[str, Any] = {
        "kind": "charging", "version": "0", "elements": str(len(elements)), "name": "Day and night", "code": "POWER",
        "currency": "EUR", "vat": "19", "tax_included": "no", "bind": [f"depot:{evse.depot_id}"], "act": "save", **more,
    }  # fmt: skip
    for number, element in enumerate(elements):
        fields |= {f"e{number}-{name}": value for name, value in {"use": "charging", **element}.items()}
    return fields


def held(evse: Evse, at: Any = NOW) -> Tariffs:
    there = configuration.current(evse.depot_id)
    return there.tariffs_for(option_of(evse).pk, evse.pk, evse.depot.operator_id, at=at)


NIGHT = {"kwh": "0.32", "weekdays": ["1", "2"], "start_time": "22:00", "end_time": "06:00"}
DAY = {"kwh": "0.39"}


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_a_tariff_is_made_and_bound_and_its_page_says_what_it_means(manager, evse):
    answer = manager.post("/tariffs/new/?kind=charging", sent(evse, NIGHT, DAY), follow=True)

    page = text(answer)
    assert "On Monday and Tuesday, from 22:00 to 06:00, a kWh costs €0.32." in page
    assert "Otherwise, a kWh costs €0.39." in page
    assert "<b>Venlo</b> The whole depot" in page
    assert held(evse).charging.content.elements[0].components[0].vat == 19


ELEMENT: dict[str, Any] = {
    "once": "1", "kwh": "0.4", "hour": "2", "parking": "6", "vat": "7", "kwh_step": "1000", "hour_step": "60",
    "parking_step": "900", "weekdays": ["6", "7"], "start_time": "10:00", "end_time": "12:30", "first_day": "2026-12-01",
    "last_day": "2026-12-31", "min_minutes": "30", "max_minutes": "90.5", "min_kwh": "5", "max_kwh": "50",
    "min_power": "10", "max_power": "150", "min_current": "16", "max_current": "63",
}  # fmt: skip


def test_everything_that_can_be_said_is_kept_and_shown_again_as_it_was(manager, evse):
    manager.post("/tariffs/new/?kind=charging", sent(evse, ELEMENT, min_price="2", max_price="80"))
    first = held(evse).charging

    page = manager.get(f"/tariffs/{Tariff.objects.get().pk}/version/")
    form = page.context["form"]
    shown = {
        field.name: field.value() for field in form.elements[0] if field.value() not in (None, "", [], False)
    }
    again = {
        n: [str(d) for d in v] if isinstance(v, list) else str(v)[:5] if n.endswith("time") else str(v)
        for n, v in shown.items()
    }
    limits = {name: str(form[name].value()) for name in ("vat", "min_price", "max_price")}
    manager.post(page.request["PATH_INFO"], sent(evse, again, **newest(), name="", **limits))

    assert again == {"use": "charging", **{n: v for n, v in ELEMENT.items() if n != "vat"}}
    assert held(evse).charging == first


def edited_again(manager, evse):
    """Open the editor at the version in force and save it as it stands."""
    page = manager.get(f"/tariffs/{Tariff.objects.get().pk}/version/")
    form = page.context["form"]
    head = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
    cards = [
        {field.name: field.value() for field in card if field.value() not in (None, "", [], False)}
        for card in form.elements
    ]
    assert manager.post(page.request["PATH_INFO"], sent(evse, *cards, **head | newest())).status_code == 302


def test_limits_with_vat_of_a_file_stay_when_the_editor_saves_it(manager, evse):
    limits = {"min_price": "10", "min_price_with_vat": "11", "max_price": "80", "max_price_with_vat": "90"}
    manager.post("/tariffs/new/?kind=charging", sent(evse, DAY, **limits))
    first = held(evse).charging.content

    edited_again(manager, evse)

    assert first.min_price == PriceLimit(Decimal(10), Decimal(11))
    assert held(evse).charging.content == first


def test_two_rates_of_vat_in_one_element_stand_on_two_cards():
    content = TariffContent(
        "EUR",
        (
            TariffElement(
                (
                    PriceComponent(Dimension.ENERGY, Decimal("0.40"), Decimal(19), step=0),
                    PriceComponent(Dimension.PARKING_TIME, Decimal(6), Decimal(7)),
                ),
            ),
        ),
    )

    cards = rows_of(content)

    assert [
        (card.get("kwh"), card.get("kwh_step"), card.get("parking"), card.get("vat")) for card in cards
    ] == [
        ("0.4", 0, None, None),
        (None, None, "6", "7"),
    ]


def test_a_version_in_force_is_followed_by_another_from_a_day_on(manager, evse):
    manager.post("/tariffs/new/?kind=charging", sent(evse, DAY))
    later = (NOW + timedelta(days=10)).date()

    answer = manager.post(
        f"/tariffs/{Tariff.objects.get().pk}/version/",
        sent(evse, NIGHT, **newest(), starts_on=later.isoformat()),
        follow=True,
    )

    assert held(evse).charging.number == 1
    assert held(evse, NOW + timedelta(days=11)).charging.number == 2
    assert "Version 2 follows on" in text(answer)


def test_who_looked_at_an_older_version_is_told(manager, evse):
    manager.post("/tariffs/new/?kind=charging", sent(evse, DAY))
    url = f"/tariffs/{Tariff.objects.get().pk}/version/"
    before = newest()
    manager.post(url, sent(evse, NIGHT, **before))

    answer = manager.post(url, sent(evse, DAY, **before))

    assert answer.status_code == 409
    assert "Somebody has changed this tariff" in text(answer)


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no price": ({}, {}, "id_e0-once_error"),
    "below zero": ({"kwh": "-1"}, {}, "id_e0-kwh_error"),
    "no number": ({"parking": "six"}, {}, "id_e0-parking_error"),
    "no time": ({"kwh": "1", "start_time": "25:00"}, {}, "id_e0-start_time_error"),
    "never by energy": ({"kwh": "1", "min_kwh": "5", "max_kwh": "5"}, {}, "id_e0-max_kwh_error"),
    "never by power": ({"kwh": "1", "min_power": "9", "max_power": "3"}, {}, "id_e0-max_power_error"),
    "never by time": ({"kwh": "1", "min_minutes": "9", "max_minutes": "3"}, {}, "id_e0-max_minutes_error"),
    "never by day": ({"kwh": "1", "first_day": "2026-12-02", "last_day": "2026-12-01"}, {}, "id_e0-last_day_error"),
    "energy of a reservation": ({"use": "reservation", "kwh": "1"}, {}, "id_e0-kwh_error"),
    "no currency": ({"kwh": "1"}, {"currency": "EUX"}, "id_currency_error"),
    "no name": ({"kwh": "1"}, {"name": ""}, "id_name_error"),
    "an odd id": ({"kwh": "1"}, {"code": "a b"}, "id_code_error"),
    "over": ({"kwh": "1"}, {"ends_on": "2020-01-01"}, "id_ends_on_error"),
    "a limit with VAT alone": ({"kwh": "1"}, {"min_price_with_vat": "9"}, "id_min_price_error"),
    "at most less than at least": ({"kwh": "1"}, {"min_price": "9", "max_price": "3"}, "id_max_price_error"),
    "somebody else's": ({"kwh": "1"}, {"bind": ["depot:999999"]}, "A place is not of Ladepark"),
}  # fmt: skip


@pytest.mark.parametrize(("element", "more", "place"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(manager, evse, element, more, place):
    answer = manager.post("/tariffs/new/?kind=charging", sent(evse, element, **more))

    assert answer.status_code == 422
    assert place in text(answer)
    assert not Tariff.objects.exists()


def test_without_a_price_there_is_no_tariff(manager, evse):
    assert "A tariff has a price at least." in text(manager.post("/tariffs/new/?kind=charging", sent(evse)))


@pytest.mark.parametrize(
    ("act", "prices"),
    [
        ("add", ["0.32", "0.39", None]),
        ("remove-0", ["0.39"]),
        ("up-1", ["0.39", "0.32"]),
        ("down-0", ["0.39", "0.32"]),
        ("up-0", ["0.32", "0.39"]),
        ("down-9", ["0.32", "0.39"]),
        ("look", ["0.32", "0.39"]),
    ],
)
def test_prices_are_added_removed_and_moved_without_a_script(manager, evse, act, prices):
    answer = manager.post("/tariffs/new/?kind=charging", sent(evse, NIGHT, DAY, act=act))

    assert answer.status_code == 200
    form = answer.context["form"]
    assert [element["kwh"].value() for element in form.elements] == prices
    assert form["name"].value() == "Day and night"
    assert answer.context["places"][0].depot.is_chosen
    assert "field-error" not in text(answer)
    assert not Tariff.objects.exists()


@pytest.mark.parametrize("act", ["remove-²", "up-" + "9" * 5000, "down--1", "remove-", "add-2-3"])
def test_a_button_that_no_page_has_moves_nothing(manager, evse, act):
    answer = manager.post("/tariffs/new/", sent(evse, DAY, act=act))

    assert answer.status_code == 200
    assert Tariff.objects.count() == 0


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2100-01-01", "9999-12-31"])
@pytest.mark.parametrize("field", ["starts_on", "ends_on", "e0-first_day", "e0-last_day"])
def test_a_day_that_no_calendar_could_keep_is_refused_at_its_field(manager, evse, field, day):
    answer = manager.post("/tariffs/new/", sent(evse, DAY) | {field: day})

    assert (answer.status_code, Tariff.objects.count()) == (422, 0)
    assert "No day " in text(answer)
    assert manager.post("/tariffs/preview/", sent(evse, DAY) | {field: day}).status_code == 200


def test_while_one_types_it_is_said_and_priced(manager, evse):
    answer = manager.post(
        "/tariffs/preview/", sent(evse, DAY, {"parking": "6"}), headers={"HX-Request": "true"}
    )

    page = text(answer)
    assert "A kWh costs €0.39." in page
    assert answer.context["cards"] == [
        (1, "A kWh costs €0.39."),
        (2, "An hour parked without charging costs €6.00."),
    ]
    assert [example.title for example in answer.context["examples"]] == ["At midday", "Overnight", "Saturday"]
    assert "€116.03" in page  # 250 kWh × 0.39, and 19 %
    assert "<html" not in page


def test_what_cannot_be_read_yet_leaves_the_rest_said(manager, evse):
    page = text(
        manager.post("/tariffs/preview/", sent(evse, DAY, {"kwh": "0,"}), headers={"HX-Request": "true"})
    )

    assert "A kWh costs €0.39." in page
    assert "Price 2 is not counted yet." in page


def test_what_nobody_means_is_pointed_out_while_one_types(manager, evse):
    answer = manager.post("/tariffs/preview/", sent(evse, DAY, NIGHT), headers={"HX-Request": "true"})

    assert "Price 2 never counts" in text(answer)


def test_a_booking_tariff_asks_only_for_what_a_booking_can_cost(manager, evse):
    page = manager.get("/tariffs/new/?kind=booking")
    names = set(page.context["form"].elements[0].fields)

    assert not names & {"kwh", "parking", "min_power"}
    booked = sent(
        evse, {"use": "booking", "once": "5"}, {"use": "no_show", "once": "25"}, kind="booking", code="B"
    )
    answer = manager.post("/tariffs/new/?kind=booking", booked, follow=True)
    assert "Not coming costs €25.00." in text(answer)


def test_the_list_says_what_each_tariff_means_and_where_it_holds(manager, evse):
    make_bound(per_kwh("0.40"), evse=evse, name="Power")
    make_bound(flat("5"), option=option_of(evse), name="Booked")

    page = text(manager.get("/tariffs/"))

    assert "A kWh costs €0.40." in page
    assert "EVSE LPK-1-1" in page
    assert "A booking costs €5.00 once." in page


def test_more_tariffs_cost_no_more_queries(manager, evse):
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert manager.get("/tariffs/").status_code == 200
        return len(caught)

    make_bound(per_kwh("0.40"), evse=evse)
    queries()
    few = queries()
    for _ in range(4):
        make_bound(per_kwh("0.40"), evse=make_evse(evse.depot))
    add_version(Tariff.objects.all()[0], per_kwh("0.5"), number=2)
    queries()

    assert queries() == few


def test_a_withdrawn_tariff_holds_nowhere(manager, evse):
    make_bound(per_kwh("0.40"), depot=evse.depot)

    answer = manager.post(f"/tariffs/{Tariff.objects.get().pk}/withdrawal/", newest(), follow=True)

    assert held(evse) == (None, None)
    assert "Bound to nothing" in text(answer)
    assert TariffVersion.objects.exists()


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("depot_manager", 200, 200),
        ("accountant", 200, 200),
        ("admin", 200, 200),
        ("viewer", 200, 404),
        ("dispatcher", 404, 404),
    ],
)
def test_managers_and_accountants_set_tariffs_and_viewers_read_them(operator, evse, role, reads, writes):
    make_bound(per_kwh("0.40"), depot=evse.depot)
    client, tariff = client_of(make_user(operator, role=role)), Tariff.objects.get()

    assert [client.get(url).status_code for url in ("/tariffs/", f"/tariffs/{tariff.pk}/")] == [reads] * 2
    for url in ("/tariffs/new/", f"/tariffs/{tariff.pk}/version/"):
        assert client.get(url).status_code == writes
    assert client.post(f"/tariffs/{tariff.pk}/withdrawal/", newest()).status_code == (
        302 if writes == 200 else 404
    )


def test_somebody_elses_tariff_is_not_there(manager, evse):
    make_bound(per_kwh("0.40"), depot=make_depot())

    theirs = Tariff.objects.get()
    for url in (f"/tariffs/{theirs.pk}/", f"/tariffs/{theirs.pk}/version/"):
        assert manager.get(url).status_code == 404
    assert theirs.code not in text(manager.get("/tariffs/"))
