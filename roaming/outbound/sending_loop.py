"""The loop that delivers: one event loop a worker process, any number of workers (docs/decisions/0006).

It takes what is due under a lease, writes down the state of now, sends it and settles. HTTP runs in the loop,
hundreds of calls at once; the database in a few threads. A notice wakes it, and it looks every second anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog
from django.db import connections
from django.utils import timezone

from depots.listening import listen
from roaming import guest_sessions, message_log, tasks
from roaming.commands import results, sent
from roaming.console import traffic
from roaming.models import Delivery
from roaming.ocpi.call_failures import CallFailed, Refused, Unreachable
from roaming.ocpi.client import BOOKING_TIMEOUT_S, Answer, Exchange, Http
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import deliveries, fan_out, forgetting, our_requests, pull_plan, pulls, resync
from roaming.outbound.deliveries import Delivered, Lease
from roaming.outbound.pushes import Push, TakesAnswer, Writer, kept_at
from roaming.outbound.waking import WAKE_CHANNEL
from roaming.outbound.writer_table import writers

logger = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MOST_AT_ONCE = 400
DATABASE_THREADS = 4
# Reading is slower than sending and in no hurry: it has threads of its own.
READING_THREADS = 2
POLL_S = 1.0
GATHER_S = 0.02
# What a worker looks after by itself: how often, and what; in this order.
RECURRING: dict[timedelta, tuple[Callable[..., object], ...]] = {
    timedelta(seconds=5): (guest_sessions.follow_meters, sent.give_up_at_absent),
    timedelta(minutes=1): (traffic.sum_up, guest_sessions.follow_reservations, message_log.forget_floods),
    timedelta(minutes=10): (
        message_log.forget_old,
        forgetting.forget_over,
        results.forget_old,
        fan_out.refresh,
        pull_plan.plan_new_lists,
        resync.plan_nights,
        resync.resync_due,
        guest_sessions.time_out_waiting,
        tasks.start_rotations,
    ),
}


async def run(
    stop: asyncio.Event, clock: Callable[[], datetime] = timezone.now, *, poll_s: float = POLL_S
) -> None:
    """Deliver until `stop` is set; what is under way then gets a moment to end. A fault ends one delivery only."""
    await _Loop(clock, poll_s).run(stop)


class _Loop:
    def __init__(self, clock: Callable[[], datetime], poll_s: float) -> None:
        self.clock, self.poll_s = clock, poll_s
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="sender database")
        self._reading_threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="sender reading")
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._said: list[Exchange] = []
        self._delivered: list[Delivered] = []
        self._writers = writers()
        self._http = Http(self._said.append, MOST_AT_ONCE)
        self._done_at: dict[timedelta, datetime] = {}

    async def run(self, stop: asyncio.Event) -> None:
        wake = self._wake.set
        # Until it listens, and when it does not, the clock makes it look.
        listening = asyncio.create_task(listen(WAKE_CHANNEL, on_notice=lambda _: wake(), on_listening=wake))
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            async with self._http:
                while not stop.is_set():
                    self._wake.clear()
                    await self._turn()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.poll_s):
                            await self._wake.wait()
                        # What ends or becomes due together is looked at together.
                        await asyncio.sleep(GATHER_S)
                await self._end()
        finally:
            for task in (listening, stopping, *self._under_way):
                task.cancel()
            await asyncio.gather(listening, stopping, *self._under_way, return_exceptions=True)
            await self._settle()
            self._threads.shutdown()
            self._reading_threads.shutdown()

    async def _turn(self) -> None:
        """A fault of the database ends neither the loop nor the calls that are under way; the next turn tries again."""
        await self._settle()
        try:
            await self._start_what_is_due()
        except Exception:
            logger.exception("what is due cannot be taken")

    async def _start_what_is_due(self) -> None:
        now, room = self.clock(), MOST_AT_ONCE - len(self._under_way)
        if room > 0:
            kinds = (Delivery.Kind.REQUEST, *self._writers)
            leases = await self._in_thread(deliveries.claim, room=room, kinds=kinds, now=now)
            for lease in leases:
                if lease.kind == Delivery.Kind.REQUEST:
                    self._start(self._request(lease))
            for kind, write in self._writers.items():
                if of_kind := [lease for lease in leases if lease.kind == kind]:
                    self._start(self._write(write, of_kind))
            for visit in await self._in_thread(pulls.claim, now=now):
                self._start(self._visit(visit))
        await self._do_what_recurs(now)

    async def _do_what_recurs(self, now: datetime) -> None:
        for every, works in RECURRING.items():
            done_at = self._done_at.get(every)
            if done_at is None or now - done_at >= every:
                self._done_at[every] = now
                for work in works:
                    await self._in_thread(work, now=now)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        # There is room again, and the next object of this partner may go.
        task.add_done_callback(lambda _: self._wake.set())

    async def _end(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=3)

    async def _request(self, lease: Lease) -> None:
        try:
            await self._ask(lease)
        except Exception as fault:
            await self._give_back(lease, fault)

    async def _write(self, write: Writer, leases: list[Lease]) -> None:
        """Write down what is now, of all of them at once, and send each."""
        try:
            written = await self._in_thread(write, leases, now=self.clock())
        except Exception:
            # Their leases run out, and then they are tried again.
            logger.exception("deliveries cannot be written", number=len(leases))
            return
        for push in written:
            self._start(self._send(push) if push.take is None else self._send_once(push, push.take))

    async def _give_back(self, lease: Lease, fault: Exception, *, was_sent: bool = False) -> None:
        logger.error("delivery failed", delivery=lease.delivery_id, exc_info=fault)
        error = f"our fault: {fault!r}"
        await self._in_thread(deliveries.release, lease, was_sent=was_sent, now=self.clock(), error=error)

    async def _send(self, push: Push) -> None:
        """A yes is settled with the others that came at the same moment."""
        lease: Lease | None = push.lease
        was_sent = False
        try:
            if push.probe and (lease := await self._held(push.lease)):
                await self._http.call(push.peer.unrouted(), "GET", push.probe)
            if lease and (lease := await self._held(lease)):
                was_sent = True
                location = await self._call(push)
        except CallFailed as failure:
            ours, party = lease or push.lease, push.peer.to_party
            await self._in_thread(
                deliveries.failed, ours, failure, to_party=party, was_sent=was_sent, now=self.clock()
            )
        except Exception as fault:
            await self._give_back(lease or push.lease, fault, was_sent=was_sent)
        else:
            if lease:
                self._delivered.append(Delivered(lease, push.digest, location))

    async def _send_once(self, push: Push, take: TakesAnswer) -> None:
        """What may not be done twice: its answer, or what came instead, settles it."""
        try:
            answer: Answer | CallFailed = await self._http.call(
                push.peer, push.method, push.url, body=push.body, time_limit_s=BOOKING_TIMEOUT_S
            )
        except CallFailed as failure:
            answer = failure
        try:
            await self._in_thread(take, push.lease, answer, now=self.clock())
        except Exception as fault:
            await self._give_back(push.lease, fault)

    async def _call(self, push: Push) -> str:
        """Gives where the partner keeps what was POSTed, if it says so. Raises CallFailed."""
        try:
            answer = await self._http.call(push.peer, push.method, push.url, body=push.body)
        except Refused as refusal:
            if push.is_done_by(refusal):
                return ""
            raise
        return kept_at(answer, push.url) if push.method == "POST" else ""

    async def _held(self, lease: Lease) -> Lease | None:
        """The lease, long enough for a call; None when the delivery has become somebody else's."""
        if deliveries.is_long_enough(lease, now=self.clock()):
            return lease
        return await self._in_thread(deliveries.extend, lease, now=self.clock())

    async def _ask(self, lease: Lease) -> None:
        attempt = await self._in_thread(our_requests.begin, lease, now=self.clock())
        if attempt is None:
            return
        try:
            if attempt.body is None:
                booking = await self._look_up(attempt)
                offer_url = await self._in_thread(our_requests.found, attempt, booking, now=self.clock())
            else:
                answer = await self._http.call(
                    attempt.peer, "POST", attempt.url, body=attempt.body, time_limit_s=BOOKING_TIMEOUT_S
                )
                offer_url = await self._in_thread(our_requests.answered, attempt, answer, now=self.clock())
        except Refused as refusal:
            offer_url = await self._in_thread(our_requests.refused, attempt, refusal, now=self.clock())
        except Unreachable as failure:
            await self._in_thread(our_requests.lost, attempt, failure, now=self.clock())
            return
        if offer_url:
            with suppress(CallFailed, UnreadableError):
                offer = await self._http.call(attempt.peer, "GET", offer_url)
                await self._in_thread(our_requests.offer_read, attempt, offer.data, now=self.clock())

    async def _look_up(self, attempt: our_requests.Attempt) -> dict[str, Any] | None:
        """Our booking in the partner's list (S4), found by the request_id we gave it; the lease is kept up meanwhile."""
        async for page in self._http.pages(attempt.peer, attempt.url, {"date_from": attempt.since}):
            for raw in page:
                if attempt.is_about(raw):
                    return dict(raw)
            lease = await self._held(attempt.lease)
            if lease is None:
                raise Unreachable("somebody else looks for it", maybe_received=False)
            attempt.lease = lease
        return None

    async def _visit(self, visit: pulls.Visit) -> None:
        for name in visit.lists:
            await self._read_list(visit.partner_id, name)

    async def _read_list(self, partner_id: int, name: str) -> None:
        try:
            pull = await self._reading(pulls.begin, partner_id, name, now=self.clock())
            if pull is not None:
                await pulls.crawl_all(self._http, pull, keep_page=self._keep_page)
                await self._reading(pulls.finished, pull, now=self.clock())
        except CallFailed as failure:
            await self._in_thread(pulls.broke_off, partner_id, name, failure, now=self.clock())
        except Exception as fault:
            logger.exception("reading a partner failed", partner=partner_id, list=name)
            our_fault = Unreachable(f"our fault: {fault!r}")
            await self._in_thread(pulls.broke_off, partner_id, name, our_fault, now=self.clock())

    async def _keep_page(self, pull: pulls.Pull, crawl: pulls.Crawl, objects: list[Any]) -> None:
        """In pieces, so that a partner with long pages takes turns with the others."""
        for first in range(0, len(objects), pull.of.objects_at_once):
            some = objects[first : first + pull.of.objects_at_once]
            await self._reading(pulls.keep_page, pull, crawl, some, now=self.clock())

    async def _settle(self) -> None:
        """Write down what was delivered. What cannot be written is kept until its lease runs out, and sent again then."""
        delivered, self._delivered[:] = list(self._delivered), []
        try:
            if delivered:
                await self._in_thread(deliveries.all_succeeded, delivered, now=self.clock())
        except Exception:
            logger.exception("deliveries cannot be settled", number=len(delivered))
            self._delivered += [one for one in delivered if one.lease.until > self.clock()]
        if self._said:
            said, self._said[:] = list(self._said), []
            with suppress(Exception):  # the log is for people; it must not stop deliveries
                await self._in_thread(message_log.record, said, now=self.clock())

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _in(self._threads, partial(work, *args, **kwargs))

    async def _reading(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _in(self._reading_threads, partial(work, *args, **kwargs))


async def _in(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(threads, run)
