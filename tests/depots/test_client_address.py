"""Who is asking: the peer, unless it is a proxy we trust to tell."""

from ipaddress import ip_network

import pytest

from depots.client_address import client_address, client_network

TRUSTED = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "asking"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # nobody we trust: it may say what it likes
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),  # the first is what the client said
        ("127.0.0.1", "192.0.2.66, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("::ffff:127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.66, nonsense", "127.0.0.1"),
        ("127.0.0.1", ", ".join(["192.0.2.66"] * 10_000), "192.0.2.66"),
        ("", "198.51.100.1", ""),
        ("unix", "198.51.100.1", "unix"),
    ],
)
def test_a_proxy_we_trust_says_who_is_asking(settings, peer: str, forwarded_for: str, asking: str):
    settings.BERTH_TRUSTED_PROXIES = TRUSTED

    assert client_address(peer, forwarded_for) == asking


def test_nobody_is_trusted_unless_named():
    assert client_address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
        ("no:address", "no:address"),
    ],
)
def test_limits_count_an_ipv6_address_with_its_network(address: str, network: str):
    assert client_network(address) == network
