"""``docs/access.md`` as data: who may do what."""

import re
from pathlib import Path

from msgspec import Struct

from domain.accounts.model import Role, Scope
from tests.docs.source import section_of, table_rows

PAGE = Path("docs/access.md")
LETTERS = {"B": Role.BUYER, "G": Role.GUEST, "S": Role.SELLER, "A": Role.ADMIN}
NO_KEY = "no key"
NOBODYS = "\N{EN DASH}"


class Whose(Struct, frozen=True):
    """Whom a thing has to belong to: to an account, a seller, or nobody in particular."""

    owner: str = ""
    admins: bool = False
    unless_shown: bool = False
    owners_only: bool = False


WHOSE = {
    NOBODYS: Whose(),
    "own": Whose("account"),
    "own, A any": Whose("account", admins=True),
    "seller's": Whose("seller"),
    "seller's, A any": Whose("seller", admins=True),
    "seller's, its owner": Whose("seller", owners_only=True),
    "seller's unless shown, A any": Whose("seller", admins=True, unless_shown=True),
}


class Row(Struct, frozen=True):
    """A line of the page."""

    route: str
    roles: frozenset[Role]
    scope: Scope | None
    whose: Whose

    @property
    def looks(self) -> bool:
        """Whether the route looks at a token at all."""
        return bool(self.roles) or self.scope is not None


def who_of(roles: frozenset[Role]) -> str:
    """Roles as the page writes them."""
    return " ".join(letter for letter, role in LETTERS.items() if role in roles) or NOBODYS


def scope_of(roles: frozenset[Role], scope: Scope | None) -> str:
    """What an API key needs, as the page writes it."""
    if scope is not None:
        return f"`{scope.value}`"
    return NO_KEY if roles else NOBODYS


def cells() -> list[list[str]]:
    """The rows of the table, as they are written."""
    return [row for row in table_rows(section_of(PAGE, "The table") or "") if len(row) == 4]


def documented() -> list[Row]:
    """The table."""
    return [_row(*row) for row in cells()]


def _row(route: str, who: str, scope: str, whose: str) -> Row:
    named = re.fullmatch(r"`([a-z:]+)`", scope)
    roles = frozenset(LETTERS[letter] for letter in who.split() if letter != NOBODYS)
    return Row(route.strip("`"), roles, Scope(named[1]) if named else None, WHOSE[whose])
