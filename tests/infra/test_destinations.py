"""Where calls on somebody's word may go: public addresses, by what is connected to and not by what a name says."""

import httpcore
import pytest

from infra.destinations import ForbiddenDestinationError, GuardedBackend, is_public
from tests.http_server import Answer, Asked, HttpServer

pytestmark = pytest.mark.anyio

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    *("", "localhost", "1.2.3", "127.1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_public_internet_is_told(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "64:ff9b::808:808"])
def test_what_is_public_is_told(address: str):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "0x7f.1", "2130706433", "::1"])
async def test_a_name_that_leads_to_this_machine_is_not_connected_to(host: str):
    asked: list[Asked] = []

    async def take(one: Asked) -> Answer:
        asked.append(one)
        return Answer(200)

    server = HttpServer(take)
    await server.start()
    shown = f"[{host}]" if ":" in host else host
    async with httpcore.AsyncConnectionPool(network_backend=GuardedBackend(allow_private=False)) as pool:
        with pytest.raises((ForbiddenDestinationError, httpcore.ConnectError)):
            await pool.request("POST", f"http://{shown}:{server.port}/")
    await server.stop()
    assert asked == []


async def test_where_a_deployment_allows_it_private_addresses_are_connected_to():
    async def take(_: Asked) -> Answer:
        return Answer(204)

    server = HttpServer(take)
    await server.start()
    async with httpcore.AsyncConnectionPool(network_backend=GuardedBackend(allow_private=True)) as pool:
        assert (await pool.request("POST", f"http://localhost:{server.port}/")).status == 204
    await server.stop()
