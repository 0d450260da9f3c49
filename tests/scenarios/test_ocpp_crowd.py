"""Many chargers at once, as after a power cut."""

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.scenarios.bed import Bed

pytestmark = pytest.mark.usefixtures("gate")


def test_a_crowd_that_calls_while_the_gateway_is_busy_is_let_wait(bed: Bed) -> None:
    url = urlsplit(bed.gateway.url)
    assert url.hostname
    assert url.port
    place = (url.hostname, url.port)

    async def call_at_once() -> None:
        """In the gateway's own loop, so that nobody is accepted meanwhile."""
        with ExitStack() as calling:
            for _ in range(300):
                calling.enter_context(socket.create_connection(place, timeout=60))

    bed.loop.run(call_at_once())
