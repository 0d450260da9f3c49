"""Costs of a fleet, revenue of an operator, and a record's page: who sees what, and what they may do about it."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from bookings.billing.disputes import raise_dispute, version_of_record
from bookings.models import ChargeDetailRecord, Dispute
from bookings.pages.record_months import Bar, Chart, RecordSum, rounding
from depots.models import Membership
from tests.billing_factories import charge, priced_booking, records, standing
from tests.bookings.enforcement.online_chargers import TERMS, evse_online
from tests.bookings.people import client_of
from tests.factories import DISPATCHER, NOW, at, make_depot, make_fleet, make_user, make_vehicle
from tests.money_factories import make_cdr

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Role = Membership.Role
MONTH = "/costs/?month=2030-01"


@pytest.fixture
def cdr(operator, fleet, vehicle) -> ChargeDetailRecord:
    """An hour at the operator's depot, 55.00 before taxes: the booking fee, and 100 kWh."""
    depot = make_depot(operator, terms=TERMS, name="Kassel")
    charge(priced_booking(evse_online(depot), vehicle=vehicle), wh=100_000)
    return records()[0]


@pytest.fixture
def accountant(operator) -> Client:
    return client_of(make_user(operator, Role.ACCOUNTANT))


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content.decode()[:2000]
    return answer.content.decode()


# Who sees what


def test_a_fleet_sees_its_costs_and_an_operator_its_revenue(cdr, dispatcher, manager):
    costs, revenue = text_of(dispatcher, MONTH), text_of(manager, "/revenue/?month=2030-01")

    for page in (costs, revenue):
        assert "€65.45" in page
        assert "Kassel" in page
        assert f'data-record="{cdr.code}"' in page
    assert "HH-NF 100" in costs
    assert "Nordfracht" in revenue
    assert dispatcher.get("/revenue/").status_code == manager.get("/costs/").status_code == 404


@pytest.mark.parametrize(
    ("role", "costs", "revenue"),
    [
        (Role.DISPATCHER, 200, 404),
        (Role.VIEWER, 200, 404),
        (Role.ACCOUNTANT, 200, 200),
        (Role.ADMIN, 200, 200),
        (Role.DEPOT_MANAGER, 404, 200),
    ],
)
def test_roles_see_money_as_they_should(fleet, role, costs, revenue):
    client = client_of(make_user(fleet, role))

    assert (client.get("/costs/").status_code, client.get("/revenue/").status_code) == (costs, revenue)


def test_another_fleets_record_is_not_found(cdr):
    stranger = client_of(make_user(make_fleet()))

    for path in ("", "disputes/", "waiver/"):
        assert stranger.get(f"/records/{cdr.pk}/{path}").status_code == 404
    assert cdr.code not in text_of(stranger, MONTH)


def test_of_a_card_the_operator_sees_the_ending_only(cdr, dispatcher, manager):
    uid = cdr.token["uid"]

    assert uid in text_of(dispatcher, f"/records/{cdr.pk}/")
    assert uid not in text_of(manager, f"/records/{cdr.pk}/")


# A month


def test_a_month_adds_up_by_currency_and_a_credit_takes_back(operator, fleet, dispatcher):
    depot = make_depot(operator)
    first = make_cdr(depot=depot, customer=fleet, plate="A", energy_wh=10_000)
    make_cdr(
        depot=depot,
        customer=fleet,
        plate="A",
        energy_wh=10_000,
        credits=first,
        before_taxes=-30,
        taxes="-5.70",
    )
    make_cdr(depot=depot, customer=fleet, plate="B", energy_wh=5_000)
    make_cdr(depot=depot, customer=fleet, plate="B", currency="SEK")

    page = dispatcher.get(MONTH)

    assert [(s.currency, f"{s.total:.2f}", s.energy_wh, s.count) for s in page.context["totals"]] == [
        ("EUR", "35.70", 5_000, 2), ("SEK", "35.70", 0, 1),
    ]  # fmt: skip
    by_vehicle = {(s.name, s.currency): f"{s.total:.2f}" for s in page.context["tables"][0][2]}
    assert by_vehicle == {("A", "EUR"): "0.00", ("B", "EUR"): "35.70", ("B", "SEK"): "35.70"}


def test_a_record_is_of_the_month_in_which_it_ends_at_its_depot(operator, fleet, dispatcher):
    here = make_depot(operator, time_zone="Europe/Berlin")
    there = make_depot(operator, time_zone="America/New_York")
    midnight = NOW.replace(month=2, day=1, hour=0)
    ended = {
        "customer": fleet,
        "starts_at": midnight - timedelta(hours=2),
        "ends_at": midnight - timedelta(minutes=30),
    }
    february, january = make_cdr(depot=here, **ended), make_cdr(depot=there, **ended)

    assert [cdr.pk for cdr in dispatcher.get("/costs/?month=2030-02").context["page"]] == [february.pk]
    assert [cdr.pk for cdr in dispatcher.get(MONTH).context["page"]] == [january.pk]


def test_a_month_that_cannot_be_read_is_this_one(dispatcher, fleet):
    assert str(dispatcher.get("/costs/?month=2030-13").context["month"]) == "2030-01"


@pytest.mark.parametrize(("path", "queries"), [(MONTH, 11), ("/revenue/?month=2030-01", 14)])
def test_a_month_is_a_constant_number_of_queries(
    path, queries, operator, fleet, dispatcher, manager, django_assert_num_queries
):
    depot = make_depot(operator)
    for number in range(12):
        make_cdr(depot=depot, customer=fleet, plate=f"P {number}", bill={"lines": []})
    client = dispatcher if path == MONTH else manager
    client.get(path)

    with django_assert_num_queries(queries):
        client.get(path)


def test_the_file_of_a_month_has_a_line_a_record(cdr, dispatcher, fleet, operator):
    make_cdr(depot=cdr.depot, customer=fleet, plate="=1+1")

    answer = dispatcher.get("/costs/records.csv?month=2030-01")

    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
    by_id = {row["id"]: row for row in rows}
    row = by_id[cdr.code]
    assert (row["total"], row["energy_kwh"], row["vehicle"], row["currency"]) == (
        "65.45",
        "100.000",
        "HH-NF 100",
        "EUR",
    )
    assert row["start"] == "2030-01-15T11:00:00+01:00"
    assert {row["vehicle"] for row in rows} == {"HH-NF 100", "'=1+1"}


# A record


def test_a_record_shows_its_lines_what_they_rest_on_and_where_it_came_from(cdr, dispatcher):
    page = text_of(dispatcher, f"/records/{cdr.pk}/")

    for words in (
        "Booking fee",
        "100 kWh as metered × €0.50",
        "VAT 19 %",
        "€65.45",
        "Charging",
        cdr.booking.reference,
    ):
        assert words in page
    assert f"Issued: {cdr.code}" in page


def test_a_record_leads_to_its_booking_only_who_may_see_it(cdr, dispatcher, manager, accountant):
    link = f'href="{cdr.booking.get_absolute_url()}"'
    pages = [text_of(client, f"/records/{cdr.pk}/") for client in (dispatcher, manager, accountant)]

    assert [link in page for page in pages] == [True, True, False]
    assert cdr.booking.reference in pages[2]
    assert accountant.get(cdr.booking.get_absolute_url()).status_code == 404


def test_what_was_odd_is_said(operator, fleet, vehicle, dispatcher):
    booking = priced_booking(evse_online(make_depot(operator, terms=TERMS)), vehicle=vehicle)
    charge(booking, wh=None)

    assert "The meter value of the end is missing" in text_of(dispatcher, f"/records/{records()[0].pk}/")


def test_a_record_is_a_constant_number_of_queries(cdr, dispatcher, django_assert_num_queries):
    dispatcher.get(f"/records/{cdr.pk}/")

    with django_assert_num_queries(8):
        dispatcher.get(f"/records/{cdr.pk}/")


# Disputes and waivers


def post(client: Client, path: str, cdr: ChargeDetailRecord, **said):
    return client.post(path, {"version": version_of_record(cdr), **said})


def test_a_line_is_disputed_and_the_answer_credits_it(cdr, dispatcher, accountant):
    answer = post(dispatcher, f"/records/{cdr.pk}/disputes/", cdr, line="0", reason="The bay was blocked")
    assert answer.status_code == 302
    (dispute,) = Dispute.objects.all()
    assert "The bay was blocked" in text_of(accountant, "/revenue/?month=2030-01")
    assert "Waits for the depot" in text_of(dispatcher, f"/records/{cdr.pk}/")

    answer = post(
        accountant, f"/disputes/{dispute.pk}/answer/", cdr, decision="accept", answer="You are right"
    )
    assert answer.status_code == 302

    (left,) = standing()
    assert (f"{left.before_taxes:.2f}", left.replaces_id) == ("50.00", cdr.pk)
    page = text_of(dispatcher, f"/records/{cdr.pk}/")
    assert "You are right" in page
    assert left.code in page
    assert "Its cost is disputed" in text_of(dispatcher, cdr.booking.get_absolute_url())


def test_a_rejection_without_words_is_asked_for_them(cdr, manager):
    dispute = raise_dispute(cdr_id=cdr.pk, reason="Too much", actor=DISPATCHER, now=at(12))

    answer = post(manager, f"/disputes/{dispute.pk}/answer/", cdr, decision="reject", answer="")

    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()


def test_a_depot_waives_with_a_reason(cdr, manager):
    assert post(manager, f"/records/{cdr.pk}/waiver/", cdr, reason="").status_code == 422

    post(manager, f"/records/{cdr.pk}/waiver/", cdr, reason="Goodwill")

    assert standing() == []
    assert "Goodwill" in text_of(manager, f"/records/{cdr.pk}/")


@pytest.mark.parametrize("version", [None, "7"])
def test_a_form_of_an_old_page_is_refused(cdr, dispatcher, version):
    said = {"reason": "Too much", **({"version": version} if version else {})}

    assert dispatcher.post(f"/records/{cdr.pk}/disputes/", said).status_code == 409
    assert not Dispute.objects.exists()


def test_each_side_has_its_own_forms(cdr, dispatcher, manager, fleet):
    viewer = client_of(make_user(fleet, Role.VIEWER))
    dispute = raise_dispute(cdr_id=cdr.pk, reason="Too much", actor=DISPATCHER, now=at(12))

    assert post(dispatcher, f"/records/{cdr.pk}/waiver/", cdr, reason="Mine").status_code == 404
    assert post(dispatcher, f"/disputes/{dispute.pk}/answer/", cdr, decision="accept").status_code == 404
    assert post(manager, f"/records/{cdr.pk}/disputes/", cdr, reason="Theirs").status_code == 404
    assert post(viewer, f"/records/{cdr.pk}/disputes/", cdr, reason="Look").status_code == 404
    assert len(standing()) == 1


def test_what_is_settled_offers_nothing_more(cdr, manager, operator):
    post(manager, f"/records/{cdr.pk}/waiver/", cdr, reason="Goodwill")
    own = client_of(make_user(operator, Role.ADMIN))

    for row in records():
        page = text_of(own, f"/records/{row.pk}/")
        assert "do-waive" not in page
        assert "do-dispute" not in page


def test_a_dispatcher_of_a_fleet_without_vehicles_sees_an_empty_month(dispatcher, fleet):
    assert make_vehicle(fleet)
    assert "Nothing was billed in this month" in text_of(dispatcher, MONTH)


def test_an_operator_without_vehicles_is_told_why_it_has_no_costs(accountant):
    page = accountant.get("/costs/").content.decode()

    assert "Your organisation has no vehicles yet" in page
    assert 'href="/revenue/"' in page


def test_what_parts_of_a_cent_come_to_is_a_line_of_its_own():
    part = RecordSum("Energy", "EUR", 0, 0, Decimal("10.01"), Decimal())
    whole = RecordSum("", "EUR", 2, 0, Decimal("10.02"), Decimal())

    assert [(each.name, each.before_taxes) for each in rounding([part], [whole])] == [
        ("Rounding", Decimal("0.01"))
    ]
    assert list(rounding([part], [part])) == []


@pytest.mark.parametrize(
    ("highest", "words"),
    [
        ("586.56", ["200", "400"]),
        ("0.90", ["0.2", "0.4", "0.6", "0.8"]),
        ("1000", ["200", "400", "600", "800", "1,000"]),
    ],
)
def test_a_chart_has_lines_at_round_amounts(highest, words):
    bar = Bar(0, 0, 100, date(2030, 1, 1), Decimal(highest), "EUR")

    assert [mark.words for mark in Chart([bar]).marks] == words


def test_months_are_compared_and_lead_to_their_records(
    cdr, dispatcher, accountant, django_assert_num_queries
):
    for client, side in ((dispatcher, "costs"), (accountant, "revenue")):
        client.get("/tokens/")
        with django_assert_num_queries(4):
            page = text_of(client, f"/{side}/months/")

        assert f'href="/{side}/?month=2030-01"' in page
        assert "€65.45" in page


def test_of_strangers_nobody_sees_months(cdr):
    stranger = client_of(make_user(make_fleet("Baltcargo")))

    assert "€" not in text_of(stranger, "/costs/months/")
    assert stranger.get("/revenue/months/").status_code == 404
