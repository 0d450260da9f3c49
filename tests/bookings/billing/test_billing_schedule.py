"""A month is billed by the clock on the operator's day, with what is open of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import scheduler
from bookings.billing.billing_schedule import ask_due, bill_scheduled
from bookings.billing.open_months import open_months
from bookings.models import Invoice, ScheduledBilling
from bookings.signals import billing_due
from depots.models import Membership, Organisation
from tests.bookings.billing.billed import (
    MIDDLE,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.bookings.people import client_of
from tests.factories import make_user

pytestmark = pytest.mark.django_db
THIRD = datetime(2029, 12, 3, 0, 0, tzinfo=UTC)
OCTOBER = MIDDLE - timedelta(days=31)


@pytest.fixture
def operator() -> Organisation:
    return make_seller(billing_day=3)


@pytest.fixture
def site(operator):
    return make_site(operator)


@contextmanager
def asked() -> Iterator[list[ScheduledBilling]]:
    """What jobs were asked for."""
    found: list[ScheduledBilling] = []

    def hear(billing: ScheduledBilling, **_: object) -> None:
        found.append(billing)

    billing_due.connect(hear)
    try:
        yield found
    finally:
        billing_due.disconnect(hear)


def by_the_clock(now: datetime = THIRD) -> None:
    """A tick, and the jobs it asked for."""
    with asked() as found:
        scheduler.run_tick(now)
    for billing in found:
        bill_scheduled(billing_id=billing.pk, now=now)


def months() -> list[tuple[date, str]]:
    return list(Invoice.objects.order_by("pk").values_list("month", "kind"))


def test_the_month_before_is_billed_on_the_operators_day(site):
    record(site, make_buyer())

    by_the_clock(THIRD - timedelta(seconds=1))
    assert months() == []
    by_the_clock()

    assert months() == [(date(2029, 11, 1), "invoice")]
    assert Invoice.objects.get().made_by_kind == "berth"


def test_it_is_asked_for_once_however_often_the_clock_ticks(site):
    record(site, make_buyer())

    with asked() as found:
        for seconds in range(3):
            ask_due(now=THIRD + timedelta(seconds=seconds))
    bill_scheduled(billing_id=found[0].pk, now=THIRD)
    with asked() as later:
        ask_due(now=THIRD + timedelta(days=1))

    assert (len(found), later) == (1, [])


def test_who_has_no_day_bills_by_hand():
    record(make_site(), make_buyer())

    by_the_clock(THIRD + timedelta(days=20))

    assert months() == []


def test_a_month_is_billed_once_it_is_over_at_every_depot(operator, site):
    operator.billing_day = 1
    operator.save()
    make_site(operator, time_zone="America/New_York", country="USA")
    record(site, make_buyer())
    midnight_there = datetime(2029, 12, 1, 5, 0, tzinfo=UTC)

    by_the_clock(midnight_there - timedelta(seconds=1))
    assert months() == []
    by_the_clock(midnight_there)

    assert len(months()) == 1


def test_what_is_open_of_earlier_months_is_billed_with_it(operator, site):
    customer = make_buyer()
    cdr = record(site, customer)
    bill_november(operator)
    credit_of(cdr), record(site, customer, "5.00", ends_at=OCTOBER, starts_at=OCTOBER)

    by_the_clock(THIRD + timedelta(days=31))

    assert months()[1:] == [(date(2029, 10, 1), "invoice"), (date(2029, 11, 1), "credit_note")]


def test_a_job_that_was_lost_is_asked_for_again(site):
    record(site, make_buyer())
    ask_due(now=THIRD)  # and its worker dies

    with asked() as early:
        ask_due(now=THIRD + timedelta(minutes=59))
    by_the_clock(THIRD + timedelta(hours=1, seconds=1))

    assert early == []
    assert len(months()) == 1


def test_a_job_that_runs_twice_bills_once(site):
    record(site, make_buyer())
    with asked() as found:
        ask_due(now=THIRD)

    for _ in range(2):
        bill_scheduled(billing_id=found[0].pk, now=THIRD)

    assert len(months()) == 1


def test_an_operator_that_cannot_bill_holds_up_no_other(operator, site):
    lame = make_site(make_seller("Sonnenhof", billing_day=3, vat_id=""))
    record(lame, make_buyer("Alpentrans")), record(site, make_buyer())

    by_the_clock()

    assert [invoice.supplier for invoice in Invoice.objects.all()] == [operator]


def test_a_tick_on_which_nothing_is_due_asks_once(site):
    by_the_clock()

    with CaptureQueriesContext(connection) as seen:
        ask_due(now=THIRD + timedelta(days=1))

    assert len(seen) == 1


def test_months_that_are_not_all_billed_are_named_with_who_is_left_out_and_billed_by_a_button(
    operator, site, time_machine
):
    time_machine.move_to(THIRD, tick=False)
    north, alps = make_buyer(), make_buyer("Alpentrans", legal_name="")
    record(site, north, "5.00", ends_at=OCTOBER, starts_at=OCTOBER)
    record(site, north), record(site, alps, "7.00"), record(site, north, "0.00")
    record(site, north, "9.00", ends_at=THIRD, starts_at=THIRD)  # of a month that is not over
    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))

    page = client.get("/invoices/unbilled/").content.decode()

    october, november = open_months([operator.pk], now=THIRD)
    assert (october.documents, october.cdrs, str(october.month)) == (1, 1, "2029-10")
    assert (november.documents, {key: f"{sum:.2f}" for key, sum in november.totals.items()}) == (
        2,
        {"EUR": "37.00"},
    )
    assert 'data-unbilled="2029-10"' in page
    assert "Alpentrans is left out. legal-name" in page
    version = (
        page.partition('data-unbilled="2029-10"')[2].partition('name="version" value="')[2].partition('"')[0]
    )
    client.post("/invoices/runs/", {"operator": operator.pk, "month": "2029-10", "version": version})
    assert months() == [(date(2029, 10, 1), "invoice")]
    assert 'data-unbilled="2029-10"' not in client.get("/invoices/unbilled/").content.decode()


def test_an_operator_of_whom_something_is_missing_is_told_before_it_bills(time_machine):
    time_machine.move_to(THIRD, tick=False)
    operator = make_seller(vat_id="")
    record(make_site(operator), make_buyer())

    client = client_of(make_user(operator, Membership.Role.ACCOUNTANT))
    page = client.get("/invoices/unbilled/").content.decode()

    assert "Ladepark cannot bill. vat-id" in page
