"""The api in this process: a test chooses who asks, from which address, and at what time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import argon2
import httpx
import msgspec

from api.app import correlate, create
from api.context import Edge
from api.rates import Rates
from infra.passwords import Passwords
from infra.settings import Settings
from tests.infra.limits import Clock, scripts_on

PASSWORD = "correct horse battery"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Doorway:
    """An api process. Accounts are made by registering, and passwords are checked fast."""

    def __init__(self, app: httpx.ASGITransport, edge: Edge) -> None:
        self._app = app.app
        self.edge = edge

    async def post(
        self, path: str, address: str, headers: dict[str, str] | None = None, **form: object
    ) -> httpx.Response:
        """Ask from an address."""
        transport = httpx.ASGITransport(self._app, client=(address, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.post(path, json=form, headers=headers)

    async def login(self, address: str, email: str, password: str = "wrong password") -> httpx.Response:
        return await self.post("/auth/login", address, email=email, password=password)

    async def forgot(self, address: str, email: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.post("/auth/password/forgot", address, headers, email=email)

    async def register(self, email: str) -> None:
        """Make an account that can log in, from an address that is never asked from again."""
        answer = await self.post("/auth/register", "198.18.0.1", email=email, password=PASSWORD)
        assert answer.status_code == 202, answer.text


@asynccontextmanager
async def doorway(settings: Settings, clock: Clock | None = None, **changes: object) -> AsyncIterator[Doorway]:
    """Run a process. ``clock`` is its time and Redis's; without one, both have their own."""
    app = create(msgspec.structs.replace(settings, email_verification="optional", **changes))
    edge: Edge = app.state.edge
    edge.passwords = Passwords(CHEAP)
    if clock is not None:
        await edge.rates.stop()
        edge.rates = Rates(edge.settings, scripts_on(edge.settings.redis_url, clock))
    async with app.lifespan():
        yield Doorway(httpx.ASGITransport(correlate(app)), edge)  # type: ignore[arg-type]
