"""``docs/access.md``, asked for over HTTP: every route, as everybody, for what is theirs and what isn't."""

import re
from collections.abc import Iterator
from enum import StrEnum

import httpx
import pytest

from domain.accounts.model import Role
from infra.clock import new_id
from tests.api.entries import ENTRIES
from tests.api.principals import HAVE_THINGS, KEYS, OWNS, ROLES, SELLS, Persona, Principals, Who
from tests.api.shop import Shop
from tests.api.things import QUIET_LANE, Named, Things
from tests.docs.access_page import Row, documented

PAGE = documented()
LISTED = {route for route, entry in ENTRIES.items() if "{" not in route and entry.thing is not None}
"""Routes that show things which their paths don't name."""


class Thing(StrEnum):
    """What is asked for."""

    NONE = "no thing"
    """The path names none, and it lists none of anybody's."""
    OWN = "their own"
    OTHERS = "somebody else's"
    SHOWN = "somebody else's, on show"
    MISSING = "nothing there"


REFUSALS = {401, 403, 404}


def expected(row: Row, who: Who, thing: Thing) -> int | None:
    """How the page has it refused; None where it doesn't."""
    at_the_door = _at_the_door(row, who) if row.looks else None
    if at_the_door is not None:
        return at_the_door
    if row.whose.owners_only and who not in OWNS:
        return 403
    if thing is Thing.OTHERS and row.whose.owner:
        return None if row.whose.admins and Role.ADMIN in ROLES.get(who, ()) else 404
    return 404 if thing is Thing.MISSING else None


def _at_the_door(row: Row, who: Who) -> int | None:
    if who is Who.SUSPENDED or (who is Who.NOBODY and row.roles):
        return 401
    lacks_role = row.roles and who in ROLES and not row.roles & ROLES[who]
    lacks_scope = who is Who.WIDE_KEY or (who in KEYS and row.scope is None)
    return 403 if lacks_role or lacks_scope else None


def _things(row: Row, who: Who) -> Iterator[Thing]:
    """What somebody can ask a route for."""
    named = "{" in row.route
    if _can_own(row, who):
        yield Thing.OWN
    elif not named and row.route not in LISTED:
        yield Thing.MISSING if row.whose.owner else Thing.NONE
    if named or row.route in LISTED:
        yield Thing.OTHERS
    if row.whose.unless_shown:
        yield Thing.SHOWN
    if named:
        yield Thing.MISSING


def _can_own(row: Row, who: Who) -> bool:
    """Whether there can be such a thing of theirs, and whose it is matters."""
    match row.whose.owner:
        case "seller":
            return who in SELLS
        case "account":
            # A guest has orders and jobs, and nothing of what hangs on an account.
            return who in HAVE_THINGS or (who is Who.GUEST and Role.GUEST in row.roles)
        case _:
            return False


CASES = [
    pytest.param(row, who, thing, id=f"{row.route} by {who}: {thing}")
    for row in PAGE
    if row.route in ENTRIES
    for who in Who
    for thing in _things(row, who)
]


@pytest.fixture(scope="module")
def principals(shop: Shop) -> Principals:
    return Principals(shop)


@pytest.fixture(scope="module")
def things(shop: Shop) -> Iterator[Things]:
    yield Things(shop)
    shop.resume(QUIET_LANE)
    shop.settle()


def test_every_route_has_an_entry():
    routes = {row.route for row in PAGE}
    assert routes - set(ENTRIES) == set(), "tests/api/entries.py has to say how to make what these name"
    assert set(ENTRIES) - routes == set(), "no such routes"


@pytest.mark.parametrize(("row", "who", "thing"), CASES)
def test_who_may_do_what_is_as_the_page_says(things: Things, principals: Principals, row: Row, who: Who, thing: Thing):
    refused = expected(row, who, thing)
    mine = principals.persona(who) if thing is Thing.OWN else None
    owner = mine or principals.somebody_else
    named = _named(things, row, thing, owner, used=refused is None or row.route in LISTED)
    answer = _ask(things, row, named, principals.header(who, row.roles, row.scope))
    if row.route in LISTED and refused in {None, 404}:
        (listed,) = named.values()
        assert answer.status_code == 200, answer.text
        assert (listed in answer.text) is (refused is None)
        return
    status = answer.status_code if answer.status_code in REFUSALS or answer.status_code >= 500 else None
    assert status == refused, f"{answer.status_code} instead: {answer.text}"


def _named(things: Things, row: Row, thing: Thing, owner: Persona, *, used: bool) -> Named:
    """What stands in the path, or in the list; anew if it is to be used."""
    if "{" not in row.route and row.route not in LISTED:
        return {}
    if thing is Thing.MISSING:
        return {name: str(new_id()) for name in re.findall(r"{(\w+)}", row.route)}
    entry = ENTRIES[row.route]
    make = entry.hidden if row.whose.unless_shown and thing is not Thing.SHOWN else entry.thing
    assert make is not None, f"the entry of {row.route} has to say how to make one"
    return make(things, owner) if used else things.some(make, owner)


def _ask(things: Things, row: Row, named: Named, header: dict[str, str]) -> httpx.Response:
    method, _, path = row.route.partition(" ")
    entry = ENTRIES[row.route]
    body = entry.body
    return things.shop.http.request(
        method,
        path.format(**named),
        json=body(things) if callable(body) else body,
        headers=header,
        params=entry.params | ({"limit": 200} if row.route in LISTED else {}),
    )
