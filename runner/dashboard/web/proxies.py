"""The proxies that the dashboard trusts for a visitor's address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers

from changelane.errors import ChangelaneError

LONGEST = 100
"""Characters of a person's name, at most."""

_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_OTHERS = (
    "authorization",
    "cookie",
    "host",
    "origin",
    "referer",
    "x-forwarded-for",
    "content-type",
    "content-length",
)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Networks of the proxies that ``--proxy`` names."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    def find_visitor(self, peer: str, forwarded: Sequence[str]) -> str:
        """The visitor's address: the last of X-Forwarded-For that is no trusted proxy, else the peer's.

        ``forwarded`` holds the header's values as received. A malformed entry ends the search, because its
        author may have written everything before it.
        """
        visitor = peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        while hops and self.trusts(visitor):
            found = _parse(hops.pop())
            if found is None:
                break
            visitor = str(found)
        return visitor

    def trusts(self, address: str) -> bool:
        found = _parse(address)
        return found is not None and any(found in network for network in self.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """``header``, in which a proxy names the person that it let in; empty for none. It is believed from
    loopback and from ``proxies`` alone, and names without letting in.
    """

    header: str
    proxies: Proxies

    def find_name(self, peer: str, headers: Headers) -> str:
        """The name with the word that follows it, or empty. What is no name, and several names, are called
        so: whoever sent one of them may have sent it to hide.
        """
        if not self.header:
            return ""
        found = _parse(peer)
        if found is None or not (found.is_loopback or self.proxies.trusts(peer)):
            return ""
        values = headers.getlist(self.header)
        if not values:
            return ""
        # The header was decoded as Latin-1, but proxies send UTF-8.
        name = values[0].encode("latin-1").decode(errors="replace").strip()
        if len(values) > 1 or not name or len(name) > LONGEST or not name.isprintable():
            return "(no valid name) by "
        return f"{name} by "


def read_persons(header: str, proxies: Proxies) -> Persons:
    """Parse ``--trust-header``. Raises ChangelaneError for what cannot be such a header."""
    if header and (not _HEADER.fullmatch(header) or header.lower() in _OTHERS):
        raise ChangelaneError(
            f"--trust-header {header!r} is no header that names a person: not started",
            fix="name the one that the proxy sets, such as X-Forwarded-User",
        )
    return Persons(header=header, proxies=proxies)


def read_proxies(texts: Iterable[str]) -> Proxies:
    """Parse the values of ``--proxy``. Raises ChangelaneError for a value that is neither an address nor a
    network.
    """
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise ChangelaneError(
                f"--proxy {text!r} is neither an address nor a network",
                fix="write it as 10.0.0.5 or 10.0.0.0/24; the dashboard takes no names here",
            ) from None
    return Proxies(tuple(networks))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports an IPv4 peer as an IPv6 address.
    return getattr(found, "ipv4_mapped", None) or found
