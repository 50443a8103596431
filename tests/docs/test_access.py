"""``docs/access.md`` lists exactly the routes there are, each with who may use it as the code declares."""

from collections.abc import Iterator

from litestar import Litestar

from api.access import ACCESS, Access
from api.app import HANDLERS
from tests.docs.access_page import WHOSE, cells, documented, scope_of, who_of

MADE_BY_THE_FRAMEWORK = {"OPTIONS", "HEAD"}


def _declared() -> Iterator[tuple[str, Access | None]]:
    for route in Litestar(route_handlers=HANDLERS, openapi_config=None).routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods - MADE_BY_THE_FRAMEWORK:
                yield f"{method} {route.path_format}", handler.opt.get(ACCESS)


def test_every_route_declares_who_may_use_it():
    assert [route for route, access in _declared() if access is None] == []


def test_the_page_lists_exactly_the_routes_with_who_may_use_them():
    written = {f"| {route} | {who} | {scope} |" for route, who, scope, _ in cells()}
    declared = {
        f"| `{route}` | {who_of(access.roles)} | {scope_of(access.roles, access.scope)} |"
        for route, access in _declared()
        if access is not None
    }
    assert sorted(declared - written) == [], "the page misses these"
    assert sorted(written - declared) == [], "the page has these, and no route is like that"


def test_no_route_stands_twice():
    routes = [row.route for row in documented()]
    assert len(routes) == len(set(routes))


def test_whose_a_thing_has_to_be_is_said_in_the_pages_own_words():
    assert {whose for _, _, _, whose in cells()} <= set(WHOSE)


def test_what_belongs_to_somebody_is_not_for_anyone():
    """A route that needs no token can tell nobody's things apart: only what is hidden may depend on who asks."""
    for row in documented():
        assert row.roles or not row.whose.owner or row.whose.unless_shown, row.route
