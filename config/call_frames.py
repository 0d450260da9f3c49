"""Room for the frames of calls, so that calling a function maps no memory."""

import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

# In words of eight bytes: half a megabyte, of which only what is used is ever touched.
ROOM = 66_000


def with_frame_room(function: Function) -> Function:
    """Decorates a thread's outermost function: everything it calls finds room for its frames.

    CPython (3.11 on) keeps frames in chunks of 16 kB. A call that does not fit maps a new chunk, and its return unmaps it:
    a loop that calls across such a border maps, faults in and unmaps four pages with every call. One page of bookings did
    so 700 times, which was most of the system time of a busy machine. A frame that claims more than a chunk gets one of
    its own, as large as the next power of two, and what the claim leaves over serves the calls above it.
    """
    plain = cast(FunctionType, function)
    plain.__code__ = plain.__code__.replace(co_stacksize=ROOM)
    return function


def give_threads_room() -> None:
    """Have every thread that is started from here on, by whichever library, begin with room."""
    with_frame_room(threading.Thread._bootstrap)  # type: ignore[attr-defined]  # noqa: SLF001 - outside every run()
