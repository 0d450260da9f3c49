"""A payment provider elsewhere is told by a job what it is owed: at least once, under no lock, one call at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from bookings.actors import COMMAND
from bookings.billing.months import Month
from bookings.billing.provider_calls import CLAIM, remind_due, tell_provider
from bookings.billing.run import bill
from bookings.errors import PaymentMissing
from bookings.models import Booking, BookingPayment, Invoice, Payment
from bookings.operations import cancel_booking, decide, fail_undecided
from bookings.payments.providers import Outcome, PaymentAnswer, PaymentAsk
from depots.models import Evse, Organisation
from tests.bookings.billing.billed import make_buyer, record
from tests.bookings.payments_made import book, make_prepaid_site, payment_of
from tests.factories import DISPATCHER, MANAGER, NOW, change_slot, slot

pytestmark = pytest.mark.django_db
SOON = NOW + timedelta(minutes=5)


class Till(ThreadingHTTPServer):
    """A payment provider as a service of its own. `answers` is what it says next to an ask, by default that it is secured."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.heard: list[tuple[str, str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.during: Any = None

    @property
    def calls(self) -> list[str]:
        return [verb for verb, _, _ in self.heard]


class _Counter(BaseHTTPRequestHandler):
    server: Till

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append((self.path.strip("/"), self.headers["Idempotency-Key"], asked["amount"]))
        status, body = self.server.answers.pop(0) if self.server.answers else (200, {"outcome": "secured"})
        told = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None: ...


class TillPayments:
    """What an operator would plug in for it."""

    label = "The till"
    address = ""
    on_call: Any = None

    def secure(self, ask: PaymentAsk) -> PaymentAnswer:
        return self._call("secure", ask, ask.amount)

    def settle(self, ask: PaymentAsk, amount: Decimal) -> PaymentAnswer:
        return self._call("settle", ask, amount)

    def release(self, ask: PaymentAsk) -> None:
        self._call("release", ask, ask.amount)

    def _call(self, verb: str, ask: PaymentAsk, amount: Decimal) -> PaymentAnswer:
        body = json.dumps(
            {"amount": f"{amount:.2f}", "currency": ask.currency, "booking": ask.booking}
        ).encode()
        request = Request(f"{type(self).address}/{verb}", body, {"Idempotency-Key": str(ask.key)})
        with urlopen(request, timeout=20) as response:
            said = json.load(response)
        if type(self).on_call is not None:
            type(self).on_call()
        return PaymentAnswer(
            Outcome(said["outcome"]), said.get("reason", ""), said.get("url", ""), said.get("reference", "")
        )


@pytest.fixture
def till(settings, monkeypatch) -> Iterator[Till]:
    server = Till()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(TillPayments, "address", f"http://127.0.0.1:{server.server_port}")
    settings.PAYMENT_PROVIDERS = {"till": f"{__name__}.TillPayments"}
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def customer() -> Organisation:
    return make_buyer()


@pytest.fixture
def evse(till) -> Evse:
    return make_prepaid_site(provider="till")


def tell(booking: Booking, now: datetime = SOON) -> Booking:
    """What the job does."""
    tell_provider(booking_id=booking.pk, clock=lambda: now)
    return Booking.objects.get(pk=booking.pk)


def test_a_booking_waits_until_its_provider_says_yes(evse, customer, till):
    booking = book(evse, customer)
    before = booking.status, till.calls

    after = tell(booking)

    payment = payment_of(booking)
    assert (before, after.status) == (("requested", []), "confirmed")
    assert till.heard == [("secure", str(payment.key), "10.00")]
    assert (payment.status, payment.owed, payment.next_try_at) == ("secured", "", None)


def test_the_job_commits_with_the_booking(evse, customer, monkeypatch):
    from bookings import tasks

    queued: list[int] = []
    monkeypatch.setattr(tasks.tell_provider, "send", queued.append)

    booking = book(evse, customer)

    assert queued == [booking.pk]


def test_a_no_fails_the_booking_with_what_the_provider_says(evse, customer, till):
    till.answers = [(200, {"outcome": "refused", "reason": "The card has expired."})]
    booking = book(evse, customer)

    failed = tell(booking)

    assert (failed.status, failed.note) == ("failed", "The payment was refused: The card has expired.")
    assert (payment_of(booking).status, payment_of(booking).owed) == ("refused", "")


def test_whoever_pays_is_sent_to_the_provider_which_is_asked_again(evse, customer, till):
    till.answers = [(200, {"outcome": "waiting", "url": "https://pay.example/1", "reference": "P-1"})]
    booking = book(evse, customer)

    waiting = tell(booking)
    url = payment_of(booking).url
    remind_due(now=SOON + timedelta(seconds=30))
    confirmed = tell(booking, SOON + timedelta(seconds=30))

    assert (waiting.status, url, confirmed.status) == ("requested", "https://pay.example/1", "confirmed")
    assert till.heard[0] == till.heard[1]


def test_a_provider_that_fails_is_told_again_with_growing_pauses(evse, customer, till, monkeypatch):
    from bookings import tasks

    queued: list[int] = []
    monkeypatch.setattr(tasks.tell_provider, "send", queued.append)
    till.answers = [(500, {}), (503, {})]
    booking = book(evse, customer)

    pauses = []
    for _ in range(2):
        tell(booking)
        pauses.append((payment_of(booking).next_try_at or NOW) - SOON)
    remind_due(now=SOON + timedelta(seconds=29))
    early = list(queued)
    remind_due(now=SOON + timedelta(seconds=30))

    assert pauses == [timedelta(seconds=15), timedelta(seconds=30)]
    assert (early, queued) == ([booking.pk], [booking.pk, booking.pk])
    assert tell(booking, SOON + timedelta(minutes=1)).status == "confirmed"


def test_nobody_tells_a_provider_anything_while_it_is_called(evse, customer, till, monkeypatch):
    booking = book(evse, customer)

    def meanwhile() -> None:
        monkeypatch.setattr(TillPayments, "on_call", None)
        cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=SOON)
        tell(booking)

    monkeypatch.setattr(TillPayments, "on_call", staticmethod(meanwhile))
    after = tell(booking)
    released_early = "release" in till.calls
    tell(booking)

    assert (after.status, released_early) == ("cancelled", False)
    assert till.calls == ["secure", "release"]
    assert (payment_of(booking).status, payment_of(booking).owed) == ("released", "")


def test_a_process_that_was_killed_while_it_called_holds_nobody_up_for_long(
    evse, customer, till, monkeypatch
):
    booking = book(evse, customer)

    class Killed(BaseException): ...

    def die() -> None:
        raise Killed

    monkeypatch.setattr(TillPayments, "on_call", staticmethod(die))
    with pytest.raises(Killed):
        tell(booking)
    monkeypatch.setattr(TillPayments, "on_call", None)
    still = tell(booking, SOON + CLAIM - timedelta(seconds=1)).status
    after = tell(booking, SOON + CLAIM).status

    assert (still, after) == ("requested", "confirmed")
    assert till.heard[0] == till.heard[1]


def test_a_yes_that_comes_after_the_deadline_is_given_back(evse, customer, till, monkeypatch):
    booking = book(evse, customer)
    deadline = booking.decide_until
    assert deadline is not None

    def meanwhile() -> None:
        monkeypatch.setattr(TillPayments, "on_call", None)
        fail_undecided(booking_id=booking.pk, now=deadline)

    monkeypatch.setattr(TillPayments, "on_call", staticmethod(meanwhile))
    tell(booking, deadline)
    failed = tell(booking, deadline)

    assert (failed.status, failed.note) == ("failed", "It was not paid for in time.")
    assert till.calls == ["secure", "release"]


def test_what_is_secured_is_given_back_with_the_booking(evse, customer, till):
    booking = book(evse, customer)
    tell(booking)

    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=SOON)
    tell(booking)
    tell(booking)

    assert till.calls == ["secure", "release"]


def test_the_invoice_is_settled_through_it_once(evse, customer, till):
    booking = book(evse, customer)
    tell(booking)
    Booking.objects.filter(pk=booking.pk).update(status="completed")
    record(
        evse.depot, customer, "8.00", booking=booking, taxes=Decimal(0), net_by_rate=[["0", "8.00"]], starts_at=booking.starts_at,
        ends_at=booking.ends_at,
    )  # fmt: skip
    later = NOW + timedelta(days=40)
    bill(operator=evse.depot.operator, month=Month(NOW.year, NOW.month), actor=COMMAND, now=later)
    owed = payment_of(booking).owed

    tell(booking, later)
    tell(booking, later)

    [paid] = Payment.objects.all()
    assert (owed, till.calls, till.heard[-1][2]) == ("settle", ["secure", "settle"], "8.00")
    assert (paid.means, paid.amount, Invoice.objects.get().settled_at) == ("provider", Decimal(8), later)
    assert payment_of(booking).status == "used"


def test_what_a_provider_has_secured_is_not_raised_by_a_change(evse, customer, till):
    booking = book(evse, customer)
    tell(booking)

    with pytest.raises(PaymentMissing):
        change_slot(booking_id=booking.pk, period=slot(10, 12))

    assert BookingPayment.objects.get().amount == Decimal(10)


def test_a_yes_does_not_stand_in_for_the_depots(till, customer):
    from bookings.models import TermsOverride
    from tests.factories import option_of

    evse = make_prepaid_site(provider="till")
    TermsOverride.objects.create(option=option_of(evse), approval=True)
    booking = book(evse, customer)

    paid = tell(booking)
    approved = decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=SOON)

    assert (paid.status, approved.status) == ("requested", "confirmed")
