"""Calling a function costs no system call, however deep."""

import resource
import threading
from collections.abc import Callable, Iterator

import pytest

from config.call_frames import give_threads_room, with_frame_room

FEW, MANY = 100, 1_000


def deepen(depth: int) -> None:
    if depth:
        deepen(depth - 1)


def call_at_every_depth() -> None:
    """Cross every border between chunks of frames fifty times."""
    for depth in range(300):
        for _ in range(50):
            deepen(depth)


@with_frame_room
def roomy_call_at_every_depth() -> None:
    call_at_every_depth()


def faults_of(function: Callable[[], None]) -> int:
    """Pages of memory a thread of its own has to be given while it runs a function."""
    counts: list[int] = []

    def run() -> None:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        function()
        counts.append(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return counts[0]


@pytest.fixture
def plain_threads() -> Iterator[None]:
    """Whatever the test makes of them, threads are as they were afterwards."""
    before = threading.Thread._bootstrap.__code__
    yield
    threading.Thread._bootstrap.__code__ = before


@pytest.mark.usefixtures("plain_threads")
def test_with_room_each_page_of_frames_is_given_once() -> None:
    if faults_of(call_at_every_depth) < MANY:
        pytest.skip("this Python keeps its chunks: config.call_frames can go")

    assert faults_of(roomy_call_at_every_depth) < FEW
    give_threads_room()
    assert faults_of(call_at_every_depth) < FEW
