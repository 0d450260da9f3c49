"""What a worker does besides jobs: the scheduler's tick, the calendars', the waiting list's, telling, and the loops that call
partners and webhooks.

Each runs in a thread of its own, survives a database that is down for a while, and ends when told to.
"""

import asyncio
import threading
from contextlib import suppress
from datetime import date, datetime, timedelta
from importlib import import_module

import structlog
import uvloop
from django.db import connections
from django.utils import timezone

from config.housekeeping import clear_some, keep_house_if_ours

logger = structlog.get_logger(__name__)

TICK = timedelta(seconds=1)
# After an error nothing is lost by a pause: what was due stays due.
PAUSE_S = 1.0


class Ticker(threading.Thread):
    """Calls `tick` at every full second until it is stopped."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(_seconds_to_next_tick(timezone.now())):
            try:
                self.tick(timezone.now())
            except Exception:
                logger.exception("tick failed", of=self.name)
            finally:
                connections.close_all()

    def tick(self, now: datetime) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=10)


class Scheduler(Ticker):
    """Calls `bookings.scheduler.run_tick(now)` once a second, whatever the number of workers."""

    def __init__(self) -> None:
        super().__init__("scheduler")
        self._house_kept_on: date | None = None
        self._is_clearing = False

    def tick(self, now: datetime) -> None:
        run_if_ours(now)
        self._keep_house(now)

    def _keep_house(self, now: datetime) -> None:
        if self._house_kept_on != now.date():
            self._is_clearing = keep_house_if_ours(now)
            self._house_kept_on = now.date()
        if self._is_clearing:
            # A piece a tick: however much there is, no charger is armed later.
            self._is_clearing = clear_some(now)


class Calendars(Ticker):
    """Raises the calendars that were marked, in a thread of its own: a long tick of the scheduler delays no partner."""

    def __init__(self) -> None:
        super().__init__("calendars")

    def tick(self, now: datetime) -> None:
        from bookings.core import calendars

        # Mostly nothing is marked, and then no row is written either.
        if calendars.is_any_marked() and is_ours("calendars", now):
            calendars.raise_marked(timezone.now)


class Waitlist(Ticker):
    """Offers what came free to who waits for it, in a thread of its own: however many wait, no charger is armed later."""

    def __init__(self) -> None:
        super().__init__("waitlist")

    def tick(self, now: datetime) -> None:
        from bookings import scheduler
        from bookings.models import WaitlistEntry

        # Mostly nobody waits, and then no row is written either.
        if WaitlistEntry.objects.filter(status__in=WaitlistEntry.OPEN).exists() and is_ours("waitlist", now):
            scheduler.serve_waitlist(now)


class Telling(Ticker):
    """Tells organisations and people what has happened; one worker at a time, by a lock of its own."""

    def __init__(self) -> None:
        super().__init__("telling")

    def tick(self, now: datetime) -> None:
        from bookings.notifications import telling

        if telling.is_anything_waiting():
            telling.tell_all(now=now)


class ShownChanges(Ticker):
    """Looks every other second for depots, EVSEs and tariffs that look otherwise, for the partners that see them."""

    def __init__(self) -> None:
        super().__init__("shown changes")

    def tick(self, now: datetime) -> None:
        from roaming.outbound import shown_changes

        if now.second % 2 == 0 and shown_changes.is_anybody_told() and is_ours("shown_changes", now):
            shown_changes.want_changed(now=now)


def run_if_ours(now: datetime) -> bool:
    """Run the scheduler's tick of this second unless another worker has; True when it was ours.

    A tick looks for what is due, so one that dies half way is made good by the next.
    """
    from bookings import scheduler

    if not is_ours("scheduler", now):
        return False
    scheduler.run_tick(now)
    return True


def is_ours(name: str, now: datetime) -> bool:
    """Whether this second's tick of that name is for us to do. Workers race for one row."""
    from bookings.models import SchedulerTick

    at = now.replace(microsecond=0)
    if SchedulerTick.objects.filter(name=name, at__lt=at).update(at=at):
        return True
    # Taken by another worker, or the very first tick of all: then the row is made, and everybody waits a second.
    SchedulerTick.objects.bulk_create([SchedulerTick(name=name, at=at)], ignore_conflicts=True)
    return False


class Sender(threading.Thread):
    """Runs a loop that calls others, `run(stop)` of the named module, on an event loop of its own, and starts it again if it
    breaks."""

    def __init__(self, module: str = "roaming.outbound.sending_loop") -> None:
        super().__init__(name=f"sender of {module}", daemon=True)
        self._module = module
        self._loop = uvloop.new_event_loop()
        self._ending = asyncio.Event()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    def stop(self) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._ending.set)
        self.join(timeout=10)

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                await import_module(self._module).run(self._ending)
            except Exception:
                logger.exception("sender failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._ending.wait()


def _seconds_to_next_tick(now: datetime) -> float:
    return (TICK - timedelta(microseconds=now.microsecond)).total_seconds()
