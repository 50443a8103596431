"""Where calls on somebody else's word may go: to the public internet alone, unless a deployment says otherwise.

Invariant: what is checked is the address that is connected to, after the name was looked up, so a name that leads to
one place first and elsewhere later gains nothing. Redirects aren't followed by who uses this.
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

ADDRESSES_TRIED_MAX = 4
_NAT64 = IPv6Network("64:ff9b::/96")


class ForbiddenDestinationError(Exception):
    """The name leads to no public address."""


def is_public(address: str) -> bool:
    """Whether an address is of the public internet; one that hides another in itself is what it hides, too."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in (found, *_hidden(found)))


def _hidden(address: IPv4Address | IPv6Address) -> Iterable[IPv4Address]:
    if isinstance(address, IPv4Address):
        return ()
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(IPv4Address(address.packed[-4:]))
    return [each for each in inside if each is not None]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to where a name leads, if that is public."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore; raises ForbiddenDestinationError as well."""
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not looked up in time") from None
        except OSError as error:
            raise httpcore.ConnectError(f"the name can't be looked up: {error.strerror or error}") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [each for each in addresses if self._allow_private or is_public(each)]
        if not allowed:
            raise ForbiddenDestinationError("the name leads to no public address")
        failure: Exception = httpcore.ConnectError("the name leads nowhere")
        for address in allowed[:ADDRESSES_TRIED_MAX]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Refuse: there is nothing of others' on this machine."""
        raise ForbiddenDestinationError("a socket of this machine is no public address")

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._backend.sleep(seconds)
