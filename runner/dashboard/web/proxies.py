"""The proxies that the dashboard trusts for a visitor's address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from changelane.errors import ChangelaneError


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
        while hops and self._trusts(visitor):
            found = _parse(hops.pop())
            if found is None:
                break
            visitor = str(found)
        return visitor

    def _trusts(self, address: str) -> bool:
        found = _parse(address)
        return found is not None and any(found in network for network in self.networks)


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
