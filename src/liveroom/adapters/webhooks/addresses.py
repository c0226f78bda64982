"""Which addresses a webhook's host has, and whether they are of the public internet."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address
from typing import Any

Address = IPv4Address | IPv6Address
# As `socket.getaddrinfo`.
Resolve = Callable[..., Sequence[Any]]

THREADS = 32
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Addresses:
    """Looks hosts up, each only once at a time: one that nobody answers for takes one thread."""

    def __init__(self, resolve: Resolve = socket.getaddrinfo) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-hosts")
        self._asked: dict[tuple[str, int], asyncio.Future[list[Address]]] = {}

    async def of(self, host: str, port: int) -> list[Address]:
        """The addresses of a host; raises `OSError` or `UnicodeError` when it has none."""
        literal = _literal(host)
        if literal is not None:
            return [literal]
        key = (host, port)
        asked = self._asked.get(key)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._looked_up, host, port)
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._answered(key, done))
        # Others wait for the same answer.
        return await asyncio.shield(asked)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _looked_up(self, host: str, port: int) -> list[Address]:
        found = self._resolve(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))

    def _answered(self, key: tuple[str, int], asked: "asyncio.Future[list[Address]]") -> None:
        del self._asked[key]
        # Whoever asked may have gone; a failure that nobody hears of is no fault.
        if not asked.cancelled():
            asked.exception()


def is_public(address: Address) -> bool:
    """Whether it is an address of the public internet, also where it stands for another one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _through_nat64(address)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_link_local)


def _through_nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
