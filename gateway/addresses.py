"""Whose address a request comes from: its peer's, or what trusted proxies say of it.

Only the header that these proxies are known to write is read, from its right end, and only as far as they are trusted: whatever
stands further to the left a caller may have written. Sources: RFC 7239; X-Forwarded-For as proxies write it. An IPv6 caller is
its /64, of which a customer has a whole one.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
FORWARDED, X_FORWARDED_FOR = "forwarded", "x-forwarded-for"
_REMEMBERED = 4_096  # pairs of peer and header


class Addresses:
    """Finds callers' addresses behind proxies of some networks, which write one header, in lower case."""

    def __init__(self, trusted: Iterable[Network] = (), header: str = X_FORWARDED_FOR) -> None:
        self._trusted, self._header = tuple(trusted), header.encode()
        self._found = lru_cache(_REMEMBERED)(self._find)

    def of(self, scope: Mapping[str, Any]) -> str:
        """A request's address as a key: `@` and the address or its /64, `@` alone where there is none."""
        client = scope.get("client")
        if not self._trusted:
            return self._found(client[0] if client else "", b"")
        lines = [value for name, value in scope["headers"] if name == self._header]
        return self._found(client[0] if client else "", b",".join(lines))

    def _find(self, peer: str, line: bytes) -> str:
        found = parsed(peer)
        rest = line.decode("latin-1")
        while rest and found is not None and self._is_trusted(found):
            rest, _, last = rest.rpartition(",")
            said = parsed(_for(last) if self._header == FORWARDED.encode() else last)
            if said is None:  # a proxy that hides its caller answers for it
                break
            found = said
        return f"@{_block(found)}"

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def parsed(text: str) -> Address | None:
    """An address as proxies write it: with a port or not, an IPv6 one in brackets or not, IPv4 inside IPv6 as IPv4. None for
    anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks (CIDR), separated by commas or spaces. Raises ValueError for what is neither."""
    return tuple(ip_network(part) for part in text.replace(",", " ").split())


def _for(element: str) -> str:
    """The caller in an element of Forwarded."""
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.lower() == "for":
            return value
    return ""


def _block(address: Address | None) -> str:
    if address is None:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(address.packed[:8] + bytes(8))}/64"
