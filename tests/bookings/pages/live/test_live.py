"""Streams over real sockets, fed by real notifications. Nothing sleeps: each reader waits for what must come."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection, transaction

from bookings.pages.live import LiveServer, depot_audience, fleet_audience, publish, rendering
from bookings.pages.live.admission import LOOK_UP_THREADS
from bookings.pages.live.server import STREAMS_PER_PERSON
from depots.models import Depot, Membership, Organisation, User
from tests.bookings.pages.live.reading import DEADLINE_S, RunningLive, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """The wall clock, put forward at will."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s

    def forward(self, seconds: float) -> None:
        self.ahead_s += seconds

    def milliseconds(self) -> int:
        return int(self() * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(clock: Clock) -> Iterator[RunningLive]:
    server = LiveServer(beat_s=0.2, recheck_s=3600, queue_size=8, clock=clock)
    with RunningLive(server).running() as running:
        yield running


@pytest.fixture
def operator() -> Organisation:
    return Organisation.objects.create(name="Ladepark")


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return Depot.objects.create(operator=operator, code="LP-1", location_id="LP-1", name="Venlo")


@pytest.fixture
def fleet() -> Organisation:
    return Organisation.objects.create(name="Nordfracht")


@pytest.fixture
def manager(operator: Organisation) -> User:
    return _member(operator, "manager@ladepark.example", Membership.Role.DEPOT_MANAGER)


@pytest.fixture
def dispatcher(fleet: Organisation) -> User:
    return _member(fleet, "dispatcher@nordfracht.example", Membership.Role.DISPATCHER)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch, depot: Depot, fleet: Organisation) -> list[int]:
    """A kind "lamp" whose depot sees its colour, while the fleet sees that it exists; the ids in the order rendered."""
    seen: list[int] = []

    def render(lamp_id: int) -> rendering.Views:
        seen.append(lamp_id)
        return {
            depot_audience(depot.pk): {"colour": f"red {lamp_id}"},
            fleet_audience(fleet.pk): {"lit": True},
        }

    monkeypatch.setitem(rendering._renderers, "lamp", render)
    return seen


def _member(organisation: Organisation, email: str, role: str) -> User:
    user = User.objects.create_user(email, "a long enough password")
    Membership.objects.create(user=user, organisation=organisation, role=role)
    return user


def _publish(lamp_id: int, depot: Depot, fleet: Organisation) -> None:
    publish("lamp", lamp_id, [depot_audience(depot.pk), fleet_audience(fleet.pk)])


def test_a_stranger_is_told_not_to_come_back(live: RunningLive) -> None:
    answer = httpx.get(live.url)
    forged = httpx.get(live.url, cookies={"berth_session_8000": "' OR 1=1 --"})

    assert (answer.status_code, forged.status_code) == (204, 204)


def test_only_reading_is_allowed(live: RunningLive) -> None:
    assert httpx.post(live.url).status_code == 405


def test_each_audience_hears_its_own_view_and_no_other(
    live: RunningLive, manager: User, dispatcher: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    with live.reading(signed_in(manager)[1]) as at_depot, live.reading(signed_in(dispatcher)[1]) as in_fleet:
        at_depot.next("hello")
        in_fleet.next("hello")

        _publish(7, depot, fleet)

        assert at_depot.next().data == {
            "kind": "lamp", "id": 7, "for": {depot_audience(depot.pk): {"colour": "red 7"}},
        }  # fmt: skip
        assert in_fleet.next().data == {
            "kind": "lamp",
            "id": 7,
            "for": {fleet_audience(fleet.pk): {"lit": True}},
        }


def test_a_change_is_rendered_once_however_many_listen(
    live: RunningLive, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    cookies = signed_in(manager)[1]
    with live.reading(cookies) as one, live.reading(cookies) as two, live.reading(cookies) as three:
        for reader in (one, two, three):
            reader.next("hello")

        _publish(7, depot, fleet)

        assert [reader.next().data["id"] for reader in (one, two, three)] == [7, 7, 7]
    assert rendered == [7]


def test_nothing_is_heard_of_a_transaction_that_failed(
    live: RunningLive, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    with live.reading(signed_in(manager)[1]) as reader:
        reader.next("hello")

        with transaction.atomic():
            _publish(1, depot, fleet)
            transaction.set_rollback(True)
        with transaction.atomic():
            _publish(2, depot, fleet)

        assert reader.next().data["id"] == 2


def test_an_audience_that_may_no_longer_see_it_hears_that_it_is_gone(
    live: RunningLive, manager: User, depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rendering._renderers, "lamp", lambda lamp_id: {})
    with live.reading(signed_in(manager)[1]) as reader:
        reader.next("hello")

        publish("lamp", 7, [depot_audience(depot.pk)])

        assert reader.next().data["for"] == {depot_audience(depot.pk): None}


def test_a_view_that_cannot_be_made_sends_pages_to_look_and_silences_nothing_else(
    live: RunningLive,
    manager: User,
    depot: Depot,
    fleet: Organisation,
    rendered: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: int) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(rendering._renderers, "broken", broken)
    with live.reading(signed_in(manager)[1]) as reader:
        reader.next("hello")

        publish("broken", 1, [depot_audience(depot.pk)])
        _publish(2, depot, fleet)

        assert reader.next().data["for"] == {depot_audience(depot.pk): {}}
        assert reader.next().data["id"] == 2


def test_what_happened_between_a_pages_rendering_and_its_stream_is_told(
    live: RunningLive, clock: Clock, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    cookies = signed_in(manager)[1]
    clock.forward(60)  # the server has run for a while
    with live.reading(cookies) as other:
        other.next("hello")
        page_rendered = clock.milliseconds()
        _publish(7, depot, fleet)
        other.next()

    with live.reading(cookies, since=page_rendered) as page:
        assert page.next("hello").data == {"resync": False}
        assert page.next().data["id"] == 7
    assert rendered == [7]


def test_a_change_nobody_was_there_to_hear_is_rendered_for_who_comes(
    live: RunningLive,
    clock: Clock,
    manager: User,
    dispatcher: User,
    depot: Depot,
    fleet: Organisation,
    rendered: list[int],
) -> None:
    clock.forward(60)
    with live.reading(signed_in(dispatcher)[1]) as witness:
        witness.next("hello")
        page_rendered = clock.milliseconds()
        publish("lamp", 7, [depot_audience(depot.pk)])
        publish("lamp", 8, [fleet_audience(fleet.pk)])
        witness.next()
    assert rendered == [8]

    with live.reading(signed_in(manager)[1], since=page_rendered) as reader:
        assert reader.next().data["for"] == {depot_audience(depot.pk): {"colour": "red 7"}}


def test_a_client_that_comes_back_hears_what_it_missed_and_not_what_it_had(
    live: RunningLive, clock: Clock, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    cookies = signed_in(manager)[1]
    clock.forward(60)
    with live.reading(cookies) as reader:
        reader.next("hello")
        _publish(1, depot, fleet)
        reader.next()
        clock.forward(30)
        _publish(2, depot, fleet)
        last = reader.next()

    with live.reading(cookies, since=1, **{"Last-Event-ID": last.id}) as again:
        assert again.next("hello").data == {"resync": False}
        assert again.next().data["id"] == 2


def test_who_comes_back_after_longer_than_is_remembered_is_told_to_load_afresh(
    live: RunningLive, manager: User
) -> None:
    cookies = signed_in(manager)[1]

    with live.reading(cookies, since=1) as old, live.reading(cookies, **{"Last-Event-ID": "1"}) as older:
        assert old.next("hello").data == {"resync": True}
        assert older.next("hello").data == {"resync": True}


def test_a_lost_database_connection_is_taken_up_again_and_pages_load_afresh(
    live: RunningLive, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    with live.reading(signed_in(manager)[1]) as reader:
        reader.next("hello")

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'berth listening to berth_live' AND datname = current_database()"
            )
        reader.next("resync")
        _publish(9, depot, fleet)

        assert reader.next().data["id"] == 9


def test_signing_out_ends_the_stream(live: RunningLive, manager: User) -> None:
    client, cookies = signed_in(manager)
    with live.reading(cookies) as reader:
        reader.next("hello")

        client.post("/account/sign-out/")

        assert reader.has_ended()
    assert httpx.get(live.url, cookies=cookies).status_code == 204


def test_losing_a_membership_ends_the_stream_and_what_it_showed(
    live: RunningLive, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    cookies = signed_in(manager)[1]
    with live.reading(cookies) as reader:
        reader.next("hello")

        manager.memberships.get().delete()

        assert reader.has_ended()
    with live.reading(cookies) as reader:
        reader.next("hello")
        _publish(7, depot, fleet)
        reader.next("beat")
        assert reader.next("beat").kind == "beat"
        assert rendered == []


def test_a_session_that_ends_without_a_word_ends_its_stream_within_a_minute(manager: User) -> None:
    cookies = signed_in(manager)[1]
    impatient = LiveServer(beat_s=0.2, recheck_s=0.2)
    with RunningLive(impatient).running() as live, live.reading(cookies) as reader:
        reader.next("hello")

        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_session")

        assert reader.has_ended()


def test_a_client_that_does_not_read_is_let_go_and_the_others_are_not(
    live: RunningLive, manager: User, depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    much = "x" * 500_000
    monkeypatch.setitem(
        rendering._renderers, "lamp", lambda lamp_id: {depot_audience(depot.pk): {"much": much}}
    )
    cookies = signed_in(manager)[1]
    with live.reading(cookies) as idle, live.reading(cookies) as busy:
        idle.next("hello")
        busy.next("hello")

        for lamp_id in range(1, 200):
            publish("lamp", lamp_id, [depot_audience(depot.pk)])
            assert busy.next().data["id"] == lamp_id
            if len(live.live._streams) == 1:
                break

        assert len(live.live._streams) == 1


def test_who_missed_more_than_may_wait_loads_afresh_instead_of_losing_it(
    live: RunningLive, clock: Clock, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    """The queue of a stream is short: what would not fit into it was dropped with the stream, again and again."""
    cookies = signed_in(manager)[1]
    clock.forward(60)
    with live.reading(cookies) as witness:
        witness.next("hello")
        page_rendered = clock.milliseconds()
        for lamp_id in range(1, 21):
            _publish(lamp_id, depot, fleet)
            witness.next()

    with live.reading(cookies, since=page_rendered) as page:
        assert page.next("hello").data == {"resync": True}
        _publish(99, depot, fleet)
        assert page.next().data["id"] == 99


def test_the_greeting_says_no_more_than_was_told(
    live: RunningLive, clock: Clock, manager: User, depot: Depot, fleet: Organisation, rendered: list[int]
) -> None:
    """A line that breaks between the greeting and what was missed: its client comes back with the greeting's id."""
    cookies = signed_in(manager)[1]
    clock.forward(60)
    with live.reading(cookies) as witness:
        witness.next("hello")
        page_rendered = clock.milliseconds()
        _publish(7, depot, fleet)
        witness.next()
    clock.forward(30)
    with live.reading(cookies, since=page_rendered) as broken:
        greeting = broken.next("hello")

    with live.reading(cookies, **{"Last-Event-ID": greeting.id}) as again:
        again.next("hello")
        assert again.next().data["id"] == 7


def test_many_who_come_at_once_do_not_hold_up_what_is_told(
    live: RunningLive,
    manager: User,
    depot: Depot,
    fleet: Organisation,
    rendered: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookies = signed_in(manager)[1]
    done = threading.Event()
    with live.reading(cookies) as reader:
        reader.next("hello")
        entered = threading.Semaphore(0)

        def stuck(_: set[str]) -> Any:
            entered.release()
            assert done.wait(DEADLINE_S)
            return {}

        monkeypatch.setattr(live.live._admission, "_look_up", stuck)
        crowd = [
            threading.Thread(target=httpx.get, args=[live.url], kwargs={"cookies": cookies})
            for _ in range(12)
        ]
        for visitor in crowd:
            visitor.start()
        for _ in range(LOOK_UP_THREADS):
            assert entered.acquire(timeout=DEADLINE_S)

        _publish(7, depot, fleet)

        assert reader.next().data["id"] == 7
        done.set()
        for visitor in crowd:
            visitor.join(DEADLINE_S)


def test_a_flood_of_changes_is_told_as_load_afresh(manager: User, depot: Depot, fleet: Organisation) -> None:
    cookies = signed_in(manager)[1]
    small = LiveServer(beat_s=0.2, recheck_s=3600, queue_size=8, pending_max=5)
    with RunningLive(small).running() as live, live.reading(cookies) as reader:
        reader.next("hello")

        with transaction.atomic():
            for lamp_id in range(1, 21):
                _publish(lamp_id, depot, fleet)

        assert reader.next("resync").data == {}


def test_an_open_stream_keeps_no_connection_of_the_pool(live: RunningLive, manager: User) -> None:
    cookies = signed_in(manager)[1]
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(live.reading(cookies)) for _ in range(3)]
        for reader in readers:
            reader.next("hello")

        # A stream is greeted before the thread that looked its reader up has given its connection back.
        deadline = time.monotonic() + DEADLINE_S
        while connections_in_use() != 1 and time.monotonic() < deadline:
            threading.Event().wait(0.02)

        assert connections_in_use() == 1  # this test's own


def connections_in_use() -> int:
    stats = connection.pool.get_stats()
    return int(stats["pool_size"] - stats["pool_available"])


def test_a_person_may_not_hold_more_streams_than_a_browser_ever_would(
    live: RunningLive, manager: User
) -> None:
    cookies = signed_in(manager)[1]
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(live.reading(cookies)) for _ in range(STREAMS_PER_PERSON)]
        for reader in readers:
            reader.next("hello")

        assert httpx.get(live.url, cookies=cookies).status_code == 429
        assert httpx.head(live.url, cookies=cookies).status_code == 429
