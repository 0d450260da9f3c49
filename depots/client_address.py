"""Who is at the other end, of a page's request and of a charger's socket alike, when proxies stand before us."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: str) -> str:
    """Where a request comes from: `peer`, who is connected to us, unless that is a proxy named in BERTH_TRUSTED_PROXIES.

    A proxy appends whom it was asked by to X-Forwarded-For, so the header is read from its end, as far as trusted
    proxies wrote it; what stands further left is only what a stranger says.
    """
    trusted: Sequence[Network] = settings.BERTH_TRUSTED_PROXIES
    found = _read(peer)
    if found is None or not _is_among(found, trusted):
        return str(found or peer)
    for told in reversed(forwarded_for.split(",")[-20:]):
        asking = _read(told)
        if asking is None:  # the proxy did not say: all of its clients share its address
            return str(found)
        found = asking
        if not _is_among(found, trusted):
            break
    return str(found)


def is_trusted_proxy(peer: str) -> bool:
    """May this one say in headers whom it speaks for, and how they came?"""
    found = _read(peer)
    return found is not None and _is_among(found, settings.BERTH_TRUSTED_PROXIES)


def client_network(address: str) -> str:
    """Whom limits count an address with: of IPv6 the /64, since whoever has one has all its 2**64 (RFC 6177); else itself."""
    if ":" not in address:
        return address
    found = _read(address)
    return str(
        IPv6Network((int(found), 64), strict=False) if isinstance(found, IPv6Address) else found or address
    )


def _read(told: str) -> Address | None:
    """`203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; an IPv4 address in IPv6 is IPv4."""
    told = told.strip()
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        found = ip_address(told)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
