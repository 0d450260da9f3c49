"""What listens for us answers at once, on every kind of address."""

import asyncio
import socket

import pytest

from config import addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_kept_connection_does_not_wait_for_acknowledgements(host: str) -> None:
    no_delay: list[int] = []

    async def answer_one() -> None:
        came = asyncio.Event()

        def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            no_delay.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            came.set()

        async with await asyncio.start_server(keep, sock=addresses.listen(f"{host}:0")) as server:
            place = server.sockets[0].getsockname()
            _, writer = await asyncio.open_connection(place[0], place[1])
            await came.wait()
            writer.close()

    asyncio.run(answer_one())

    assert no_delay == [1]
