"""A running shop to send requests to: processes on a database of its own, and what tests ask of both."""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx

from domain.accounts.model import Role
from domain.catalog.category_sql import hold_tree
from domain.invariants import INVARIANTS, run_check
from domain.journal.model import SYSTEM, Command
from domain.journal.sql import insert_commands
from ops.catalog import write_catalog
from ops.goods import NewOffer, NewSeller
from ops.stack import EmbeddedStack
from tests import databases
from tests.builders import new, offer, token, write_account, write_member, write_offers
from tests.promotions import write_promotion
from tests.system import System, eventually

JOURNAL = ("commands", "pending", "outcomes", "parked", "idempotency", "orders", "reservations", "movements", "events")
_FOLLOWS = "job IN ('send_notifications', 'send_webhooks', 'tell_payouts')"
AT_ONCE = {
    **dict.fromkeys(("commands", "pending", "parked"), f"WHERE NOT {_FOLLOWS}"),
    "outcomes": f"WHERE id NOT IN (SELECT id FROM commands WHERE {_FOLLOWS})",
}
"""By table, what a request and its jobs write; what follows from events is written some time after."""
_names = itertools.count(1)
_PROBLEM_FIELDS = {"type", "title", "status", "code", "detail", "instance", "path", "job"}


class Shop:
    """Processes started by name on one database; requests go to the first api unless told otherwise."""

    def __init__(self, stack: EmbeddedStack, template: str, *, redis_database: int) -> None:
        name = f"shop_{os.getpid()}_{next(_names)}"
        self._stack, self._name = stack, name
        self._runner = asyncio.Runner()
        self.database_url = databases.create(stack, name, template)
        self._conn: Any = self._runner.run(asyncpg.connect(self.database_url))
        # Bells of its own: other processes of this test run share the server.
        self.system = System(self.database_url, f"{stack.urls.redis_url}?db={redis_database}")
        self.urls: list[str] = []
        self.clients: list[httpx.Client] = []

    def web(self, name: str = "web", **env: str) -> httpx.Client:
        """Start an api process; return a client of it."""
        url = self.system.web(name, **env)
        self.urls.append(url)
        # Without certificates to load, and with room for many requests at once.
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        self.clients.append(httpx.Client(base_url=url, verify=False, timeout=30, limits=limits))
        return self.clients[-1]

    @property
    def http(self) -> httpx.Client:
        return self.clients[0]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.system.stop()
        self._runner.run(self._conn.close())
        databases.drop(self._stack, self._name)
        self._runner.close()

    def fetch(self, query: str, *args: object) -> list[Any]:
        return list(self._runner.run(self._conn.fetch(query, *args)))

    def value(self, query: str, *args: object) -> Any:
        return self._runner.run(self._conn.fetchval(query, *args))

    def using(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Have something done on the shop's own connection."""
        return self._runner.run(work(self._conn))

    def execute(self, query: str, *args: object) -> None:
        self._runner.run(self._conn.execute(query, *args))

    def offers(self, **kwargs: Any) -> list[NewOffer]:
        """Write offers with stock; see :func:`tests.builders.write_offers`."""
        return self._runner.run(write_offers(self._conn, **kwargs))

    def offer_of(self, seller_id: UUID) -> NewOffer:
        """Write an active product of a seller that is there, with its offer."""
        made = offer(NewSeller(seller_id, "A seller"))
        self._runner.run(write_catalog(self._conn, [], [made], actor=SYSTEM, reason="test"))
        return made

    def submit(self, orders: Sequence[tuple[UUID, Command]]) -> list[UUID]:
        """Write commands of principals to the journal, as the api does but without a bell; return their ids."""
        made = [new(command, principal=principal) for principal, command in orders]
        self._runner.run(insert_commands(self._conn, made))
        return [command.id for command in made]

    def violations(self, names: Iterable[str] = INVARIANTS) -> dict[str, list[str]]:
        """What the audit finds; all of it takes seconds where many tests have left their rows."""
        checks = [self._runner.run(run_check(self._conn, name)) for name in names]
        return {check.name: check.sample for check in checks if check.violations}

    def account(self, *roles: Role, **kwargs: Any) -> UUID:
        """Write an account; see :func:`tests.builders.write_account`."""
        return self._runner.run(write_account(self._conn, *roles, **kwargs))

    def member(self, seller_id: UUID, *args: Any) -> UUID:
        """Write an account that acts for a seller; see :func:`tests.builders.write_member`."""
        return self._runner.run(write_member(self._conn, seller_id, *args))

    def promotion(self, *codes: str, **said: Any) -> UUID:
        """Write an active promotion, automatic without codes; see :func:`tests.promotions.write_promotion`."""
        return self._runner.run(write_promotion(self._conn, *codes, automatic=not codes, **said)).id

    def hold_tree(self) -> None:
        """Keep categories and attributes as they are, in the transaction that is open."""
        self._runner.run(hold_tree(self._conn))

    def counts(self) -> dict[str, int]:
        """How many rows each table of the journal and of orders has."""
        query = " UNION ALL ".join(
            f"SELECT '{table}' AS t, count(*) AS n FROM {table} {AT_ONCE.get(table, '')}" for table in JOURNAL
        )
        return {row["t"]: row["n"] for row in self.fetch(query)}

    def settle(self) -> None:
        """Wait until nothing is queued."""
        eventually(lambda: self.value("SELECT count(*) FROM pending") == 0)

    def pause(self, lane: str = "orders") -> None:
        answer = self.http.post(f"/lanes/{lane}/pause", headers=bearer(Role.ADMIN))
        assert answer.status_code == 200, answer.text

    def resume(self, lane: str = "orders") -> None:
        answer = self.http.post(f"/lanes/{lane}/resume", headers=bearer(Role.ADMIN))
        assert answer.status_code == 200, answer.text


def bearer(*roles: Role, subject: UUID | None = None, seconds: int = 3600) -> dict[str, str]:
    """The header of a principal; a new buyer's unless said otherwise."""
    return {"Authorization": f"Bearer {token(subject or uuid4(), *roles, seconds=seconds)}"}


def line(offer: NewOffer, quantity: object = 1, **more: object) -> dict[str, Any]:
    return {"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id), "quantity": quantity, **more}


def order(*offers: NewOffer, quantity: object = 1, currency: object = "USD") -> dict[str, Any]:
    """The body of an order of each of some offers."""
    return {"currency": currency, "lines": [line(offer, quantity) for offer in offers]}


def wait(seconds: float = 20) -> dict[str, str]:
    return {"Prefer": f"wait={seconds}"}


def assert_problem(answer: httpx.Response, status: int, code: str, path: str | None = None) -> dict[str, Any]:
    """Hold an answer against RFC 9457 and api.md; return the problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) - _PROBLEM_FIELDS == set()
    assert status != 401 or answer.headers["www-authenticate"].startswith("Bearer")
    assert body["type"] == f"urn:ordermill:problem:{code}"
    assert body["code"] == code
    assert body["status"] == status
    assert body["title"]
    assert 0 < len(body["detail"]) <= 2000
    assert body["instance"] == urlsplit(str(answer.request.url)).path
    assert body.get("path") == path, body
    return body


def assert_nothing_written(before: dict[str, int], after: dict[str, int], *, but: Sequence[str] = ()) -> None:
    assert {t: n for t, n in after.items() if t not in but} == {t: n for t, n in before.items() if t not in but}
