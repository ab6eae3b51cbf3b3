"""Which addresses a destination may connect to, judged where a connection is made.

A name can mean another address at each look-up. So the check is of the very address that is connected to,
after the look-up, for each connection.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from changelane.contract.destination import PRIVATE

_NAT64 = IPv6Network("64:ff9b::/96")


class Denied(OSError):
    """The address is outside of the allowed ranges, or inside of a denied one."""


class AddressRanges:
    """``allow`` and ``deny`` are networks in CIDR notation, or ``private``. A denied range stays denied;
    without ``allow``, all else is allowed.
    """

    def __init__(self, *, allow: Sequence[str], deny: Sequence[str]) -> None:
        self._allow = tuple(allow)
        self._deny = tuple(deny)

    def check(self, address: str) -> None:
        """Raises Denied."""
        if not self._allow and not self._deny:
            return
        found = _unwrap(ip_address(address.partition("%")[0]))
        if _is_in(found, self._deny) or (self._allow and not _is_in(found, self._allow)):
            raise Denied(f"it leads to {address}, which `allow` and `deny` exclude")

    def select(self, addresses: Sequence[str]) -> list[str]:
        """Those of the addresses that may be connected to. Raises Denied where all are excluded."""
        allowed: list[str] = []
        problem: Denied | None = None
        for address in addresses:
            try:
                self.check(address)
                allowed.append(address)
            except Denied as denied:
                problem = denied
        if problem and not allowed:
            raise problem
        return allowed

    def open_socket(self, info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """A socket for an address that was looked up (as ``getaddrinfo`` has it). Raises Denied."""
        family, kind, protocol, _, place = info
        self.check(str(place[0]))
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened


def _unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of version 4 that one of version 6 stands for, where it does."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _is_in(address: IPv4Address | IPv6Address, ranges: Sequence[str]) -> bool:
    return any(
        not address.is_global or address.is_multicast
        if named == PRIVATE
        else address in ip_network(named, strict=False)
        for named in ranges
    )
