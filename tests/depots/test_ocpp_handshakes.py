"""Who opens connections and asks for nothing keeps nobody else out, and neither does who has thousands of chargers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from depots.ocpp import handshakes
from depots.ocpp.handshakes import PEER, Handshakes
from depots.ocpp.tls import HandshakeFailures


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_connections(stack: ExitStack, to: Handshakes, count: int) -> list[socket.socket]:
    """Their clients' ends."""
    listener = stack.enter_context(to.watch(socket.create_server(("127.0.0.1", 0))))
    clients = []
    for _ in range(count):
        clients.append(stack.enter_context(socket.create_connection(listener.getsockname())))
        stack.enter_context(listener.accept()[0])
    return clients


def is_ended(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_of_an_address_with_too_many_silent_connections_the_oldest_are_ended(sockets):
    clients = open_connections(sockets, Handshakes(most=3, patience_s=0), 5)

    assert [is_ended(client) for client in clients] == [True, True, False, False, False]
    assert PEER.get() == "127.0.0.1"


def test_as_many_as_come_at_once_wait_for_their_turn(sockets):
    watched = Handshakes(most=3, patience_s=60)

    clients = open_connections(sockets, watched, 30)

    watched.sweep()
    assert not any(is_ended(client) for client in clients)


def test_who_has_asked_for_something_or_is_gone_counts_no_more(sockets):
    watched = Handshakes(most=3, patience_s=60)
    clients = open_connections(sockets, watched, 4)

    for client in clients[:3]:
        watched.done(client.getsockname())
    assert watched.count("127.0.0.1") == 1
    sockets.close()
    watched.sweep()
    assert watched.count("127.0.0.1") == 0


def test_however_short_they_wait_no_address_has_all_sockets(sockets, monkeypatch):
    monkeypatch.setattr(handshakes, "MOST_OF_ADDRESS", 2)

    clients = open_connections(sockets, Handshakes(most=1, patience_s=60), 3)

    assert [is_ended(client) for client in clients] == [False, False, True]


def test_who_has_one_address_of_ipv6_has_its_whole_network(sockets):
    watched, failures = Handshakes(most=1, patience_s=0), HandshakeFailures()
    pairs = [socket.socketpair() for _ in range(3)]
    for number, (ours, theirs) in enumerate(pairs):
        sockets.enter_context(theirs)
        watched.begin(sockets.enter_context(ours), (f"2001:db8::{number}", 4711, 0, 0))
        failures.note(f"2001:db8::{number}", "unknown ca")

    assert [is_ended(theirs) for _, theirs in pairs] == [True, True, False]
    watched.done(("2001:db8::2", 4711, 0, 0))
    assert watched.count("2001:db8::ffff") == 0
    assert failures.take() == {"2001:db8::/64": ("unknown ca", 3)}


def test_connections_of_a_trusted_proxy_are_not_counted(sockets, settings):
    settings.BERTH_TRUSTED_PROXIES = [ip_network("127.0.0.1")]

    clients = open_connections(sockets, Handshakes(most=1, patience_s=0), 3)

    assert not any(is_ended(client) for client in clients)
