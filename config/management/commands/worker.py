"""Run background jobs, the scheduler, and the loop that delivers to partners, in one process."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

import dramatiq
from django.conf import settings
from django.core.management.base import BaseCommand

from bookings.tasks import load_places
from config import logs
from config.job_relay import JobRelay, broker_at
from config.loops import Calendars, Scheduler, Sender, ShownChanges, Telling, Ticker, Waitlist
from depots.operations.gazetteer import is_gazetteer_loaded

WEBHOOKS = "bookings.webhooks.sending_loop"
# A job that is still running after this long is left to another worker, which gets it once our heartbeat is old.
DRAIN_MS = 10_000


class Command(BaseCommand):
    help = "Run background jobs and the scheduler until SIGTERM. Any number may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=8, help="jobs at the same time (default: 8)")

    def handle(self, *args: Any, threads: int, **options: Any) -> None:
        logs.to_stdout()
        stop = threading.Event()
        for end in (signal.SIGTERM, signal.SIGINT):
            signal.signal(end, lambda *_: stop.set())
        broker: dramatiq.Broker = dramatiq.get_broker()
        relays: list[JobRelay] = []
        if settings.BERTH_BROKER_URL:
            broker = broker_at(settings.BERTH_BROKER_URL)
            relays = [JobRelay(broker)]
        worker = dramatiq.Worker(broker, worker_threads=threads)
        loops: list[Ticker | Sender | JobRelay] = [
            Scheduler(), Calendars(), Waitlist(), ShownChanges(), Telling(), Sender(), Sender(WEBHOOKS), *relays
        ]  # fmt: skip
        worker.start()
        if settings.LOADS_PLACES and not is_gazetteer_loaded():
            load_places.send()
        for loop in loops:
            loop.start()
        self.stdout.write("Working")
        self.stdout.flush()
        stop.wait()
        for loop in loops:
            loop.stop()
        worker.stop(timeout=DRAIN_MS)
        dramatiq.get_broker().close()
