"""The finder without a filter, over all EVSEs of the demo, as a dispatcher opens it: milliseconds of this process against 40.

Answered by the whole of Django (middleware, session, compression); time of the processor, for a busy machine adds less to it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from statistics import median
from time import perf_counter, process_time

from django.test import Client
from django.utils import timezone

from benchmarks.result import Result
from benchmarks.statements import counted
from config import demo_data
from depots.models import User

AIM_MS, ROUNDS = 40, 20
DISPATCHER, ADDRESS = "dispatcher@nordfracht.example", "/slots/"


def run(names: list[str]) -> Iterator[Result]:
    loaded = demo_data.load(now=timezone.now())
    client = Client(SERVER_NAME="127.0.0.1", headers={"accept-encoding": "gzip"})
    client.force_login(
        User.objects.get(email=DISPATCHER), backend="django.contrib.auth.backends.ModelBackend"
    )
    page = gzip.decompress(client.get(ADDRESS).content)
    if page.count(b"data-evse=") < loaded.evses:
        raise AssertionError("the finder does not show every EVSE of the demo")
    took = [_ms(client) for _ in range(ROUNDS)]
    cpu_ms, wall_ms = (median(times) for times in zip(*took, strict=True))
    with counted() as seen:
        answer = client.get(ADDRESS)
    yield Result(
        "finder_demo",
        cpu_ms / AIM_MS,
        "<= 1",
        {
            "cpu_ms": round(cpu_ms, 1),
            "wall_ms": round(wall_ms, 1),
            "evses": loaded.evses,
            "statements": len(seen),
            "bytes": len(page),
            "compressed_bytes": len(answer.content),
        },
    )


def _ms(client: Client) -> tuple[float, float]:
    """Of one load, by the processor and by the clock."""
    used, began = process_time(), perf_counter()
    client.get(ADDRESS)
    return (process_time() - used) * 1000, (perf_counter() - began) * 1000
