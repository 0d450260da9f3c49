"""Two who bill the same month at once, and one who is killed in the middle of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import BrokenBarrierError
from typing import Any

import pytest
from django.db import connection

from bookings.billing import cdrs, corrections
from bookings.billing import run as billing_run
from bookings.billing.billing_schedule import ask_due, bill_scheduled
from bookings.models import (
    ChargeDetailRecord,
    Invoice,
    InvoicedCdr,
    NumberSequence,
    PaymentReturn,
    ScheduledBilling,
)
from depots.models import Organisation
from tests.bookings.billing.billed import ISSUED, bill_november, credit_of, make_buyer, make_site, record
from tests.bookings.billing.test_bank import operator_with, read, statement
from tests.factories import MANAGER
from tests.races.processes import all_at_once, at_once, rendezvous
from tests.serving import MANAGE, on_test_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


# The command's own clock is the machine's: a month that is over whenever this runs.
OCTOBER = datetime(2025, 10, 14, tzinfo=UTC)


def month_of(customers: int, **fields: Any) -> Organisation:
    depot = make_site()
    for number in range(customers):
        buyer = make_buyer(f"Fleet {number}")
        for _ in range(3):
            record(depot, buyer, "10.00", **fields)
    return depot.operator


def assert_billed_once(operator: Organisation, customers: int) -> None:
    billed = Invoice.objects.filter(supplier=operator)
    assert sorted(billed.values_list("sequence", flat=True)) == list(range(1, customers + 1))
    assert set(billed.values_list("before_taxes", flat=True)) == {Decimal("30.00")}
    assert InvoicedCdr.objects.count() == 3 * customers
    assert NumberSequence.objects.get(series="invoice-2029").last == customers


def test_runs_at_once_bill_every_record_once():
    operator = month_of(8)

    made = at_once(lambda _: [one.created for one in bill_november(operator).documents], 6)

    assert Counter(any(created) for created in made) == {True: 1, False: 5}
    assert all(len(created) == 8 for created in made)
    assert_billed_once(operator, 8)


def test_records_that_come_while_a_run_adds_up_are_billed_once():
    operator = month_of(4)
    depot, buyer = operator.depots.get(), Organisation.objects.get(name="Fleet 0")

    def issue() -> str:
        for _ in range(30):
            record(depot, buyer, "1.00")
        return "issued"

    all_at_once([issue, *[lambda: len(bill_november(operator).documents)] * 3])
    bill_november(operator)

    totals = Invoice.objects.filter(customer=buyer).values_list("before_taxes", "cdr_count")
    assert sum(amount for amount, _ in totals) == Decimal("60.00")
    assert sum(cdrs for _, cdrs in totals) == 33


@pytest.mark.parametrize("moment", ["take", "_number", "_issue"])
def test_a_run_that_is_killed_bills_nobody_and_the_next_bills_everybody_once(moment, monkeypatch):
    operator = month_of(5)
    real = getattr(billing_run, moment)

    def killed(*args, **options):
        real(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    def die() -> None:
        monkeypatch.setattr(billing_run, moment, killed)
        bill_november(operator)

    [died] = all_at_once([die])
    assert died == "ERROR the process died"
    with connection.cursor() as cursor:  # its transaction is over once the server has seen that it is gone
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('billing_run', %s))", [operator.pk])
    assert not Invoice.objects.exists()
    assert not InvoicedCdr.objects.exists()

    bill_november(operator)

    assert_billed_once(operator, 5)


def test_a_scheduled_run_whose_worker_is_killed_is_asked_for_again_and_bills_once(monkeypatch):
    operator = month_of(5)
    Organisation.objects.filter(pk=operator.pk).update(billing_day=3)
    ask_due(now=ISSUED)
    row, real = ScheduledBilling.objects.get(), billing_run.take

    def die() -> None:
        def killed(*args, **options):
            real(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(billing_run, "take", killed)
        bill_scheduled(billing_id=row.pk, now=ISSUED)

    assert all_at_once([die]) == ["ERROR the process died"]
    later = ISSUED + timedelta(hours=2)
    assert ask_due(now=later) == 1
    at_once(lambda _: bill_scheduled(billing_id=row.pk, now=later), 3)

    assert_billed_once(operator, 5)
    row.refresh_from_db()
    assert row.finished_at == later


@pytest.mark.long
def test_the_command_killed_again_and_again_bills_everybody_once(tmp_path):
    """`manage.py bill` in four processes, each killed at another moment of its run, until one is left to finish."""
    operator = month_of(40, starts_at=OCTOBER, ends_at=OCTOBER)
    command = [sys.executable, MANAGE, "bill", "--operator", operator.name, "--month", "2025-10"]
    environment = {**os.environ, **on_test_database(var=tmp_path)}
    patience = random.Random(1)

    for _ in range(2):
        running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(4)]
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience.uniform(1, 4))
            process.kill()
            process.communicate()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert len(lines) == 40
    assert not any(line["created"] for line in lines)
    assert {line["before_taxes"] for line in lines} == {30}
    assert [line["number"] for line in map(json.loads, done.stdout.splitlines())] == [
        line["number"] for line in lines
    ]
    assert InvoicedCdr.objects.count() == 120
    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == list(range(1, 41))
    with connection.cursor() as cursor:  # each has its job, and none but those that were issued
        cursor.execute(
            "SELECT count(*) FROM dramatiq.queue WHERE message ->> 'actor_name' = 'deliver_invoice'"
        )
        assert cursor.fetchone() == (40,)


def test_an_invoice_is_taken_back_while_a_run_credits_a_record_of_it(monkeypatch):
    """Both set credit notes off against the invoice: whoever comes second waits, and neither is thrown out."""
    operator = month_of(1)
    bill_november(operator)
    invoice = Invoice.objects.get()
    NumberSequence.objects.create(organisation=operator, series=cdrs.SERIES, last=1_000_000)
    credit_of(ChargeDetailRecord.objects.order_by("pk")[0])
    both, take, credit = rendezvous(2), billing_run.take, cdrs.credit

    def run() -> int:
        def taken(*args, **options):
            with suppress(BrokenBarrierError):
                both.wait(1)
            return take(*args, **options)

        monkeypatch.setattr(billing_run, "take", taken)
        return len(bill_november(operator).documents)

    def take_back() -> str:
        def credited(*args, **options):
            with suppress(BrokenBarrierError):
                both.wait(1)
            return credit(*args, **options)

        monkeypatch.setattr(cdrs, "credit", credited)
        corrections.credit_invoice(invoice_id=invoice.pk, reason="Wrong", actor=MANAGER, now=ISSUED)
        return "credited"

    answers = all_at_once([run, take_back])

    assert not [answer for answer in answers if str(answer).startswith("ERROR")]
    notes = Invoice.objects.filter(corrects=invoice)
    assert sum(note.before_taxes for note in notes) == Decimal("30.00")
    assert InvoicedCdr.objects.count() == 6


def test_a_return_that_several_read_at_once_is_taken_back_once():
    operator = operator_with(3)
    numbers = [f"INV-2029-00000{number}" for number in (1, 2, 3)]
    read(operator, statement(*[(f"A{number}", "36.30", number) for number in numbers]))
    back = [(f"R{number}", "-36.30", number) for number in numbers]

    told = at_once(
        lambda n: len(read(operator, statement(*(back if n % 2 else back[::-1]), reason="AM04")).returned), 6
    )

    assert sorted(told) == [0, 0, 0, 0, 0, 3]
    assert PaymentReturn.objects.count() == 3
    assert not any(Invoice.objects.values_list("settled_at", flat=True))
