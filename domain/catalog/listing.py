"""What lists of products are asked for: filters, orders, places to go on from.

Invariant: a value that a client filters by is written as the read model writes it (``listing_sql``): ``code=value``, a
number in its shortest form, a long text by its digest.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.slugs import LENGTH_MAX
from domain.journal.model import Command, Lane
from domain.money import MINOR_MAX, Minor

TOKEN_LENGTH_MAX = 200
"""Characters. A longer one is listed by its digest: an index takes no text of any length."""

SEPARATOR = "\x1f"
"""Stands between tokens where a list of them goes as one text; what holds it is listed by its digest, too."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,340})?([eE][+-]?[0-9]{1,3})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS_MAX = 10**16
LAST_ID = UUID(int=(1 << 128) - 1)


class RelistProducts(Command, frozen=True):
    """List anew what changed without being written: offers' validity, sellers' states."""

    job: ClassVar[str] = "relist_products"
    lane: ClassVar[Lane] = Lane.SWEEPS


class Sort(StrEnum):
    """How a list is ordered; ties go by the product's id. By price, only what has one in the currency is listed."""

    NEWEST = "newest"
    PRICE = "price"
    DEAREST = "-price"
    TITLE = "title"


class ListQuery(Struct, frozen=True):
    """Which products to list.

    ``seller_id`` is whoever offers them or made them, ``owner_id`` who made them. ``category_id`` covers what is below.
    With ``currency``, they have a lowest price in it, within the bounds. ``attributes`` maps codes to the values any of
    which will do.
    """

    sort: Sort = Sort.NEWEST
    statuses: tuple[ProductStatus, ...] = (ProductStatus.ACTIVE,)
    category_id: UUID | None = None
    seller_id: UUID | None = None
    owner_id: UUID | None = None
    currency: str | None = None
    price_min: int = 0
    price_max: int = MINOR_MAX
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def by_price(self) -> bool:
        """Whether the order is one of prices."""
        return self.sort in {Sort.PRICE, Sort.DEAREST}

    @property
    def is_plain(self) -> bool:
        """Whether every product along the order belongs into the list."""
        filtered = (self.category_id, self.seller_id, self.owner_id, self.attributes or None)
        bounded = (self.price_min, self.price_max) != (0, MINOR_MAX)
        return filtered == (None, None, None, None) and (self.by_price or not bounded)

    def digest(self) -> str:
        """What tells this query from others, in a few characters."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=6).hexdigest()


class NewestPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place among the newest; in microseconds since 1970."""

    query: str
    created: Annotated[int, Meta(ge=0, le=_MICROSECONDS_MAX)]
    product_id: UUID


class PricePlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place among prices."""

    query: str
    price_minor: Minor
    product_id: UUID


class TitlePlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place among titles, which are ordered by their slugs: so case and accents don't matter."""

    query: str
    slug: Annotated[str, Meta(max_length=LENGTH_MAX)]
    product_id: UUID


Place = NewestPlace | PricePlace | TitlePlace
PLACES: Mapping[Sort, type[Place]] = {
    Sort.NEWEST: NewestPlace,
    Sort.PRICE: PricePlace,
    Sort.DEAREST: PricePlace,
    Sort.TITLE: TitlePlace,
}

Key = datetime | int | str
"""What a list is ordered by: when a product was made, its price, its slug."""


def place_of(query: ListQuery, key: Key, product_id: UUID) -> Place:
    """The place of a product in a list."""
    match key:
        case datetime():
            return NewestPlace(query.digest(), (key - _EPOCH) // timedelta(microseconds=1), product_id)
        case int():
            return PricePlace(query.digest(), key, product_id)
        case str():
            return TitlePlace(query.digest(), key, product_id)


def start_of(query: ListQuery, place: Place | None) -> tuple[Key, UUID]:
    """The key and the id that a page begins after; before all others without a place."""
    match place:
        case NewestPlace():
            return _EPOCH + timedelta(microseconds=place.created), place.product_id
        case PricePlace():
            return place.price_minor, place.product_id
        case TitlePlace():
            return place.slug, place.product_id
        case None:
            return _FIRST[query.sort]


_FIRST: Mapping[Sort, tuple[Key, UUID]] = {
    Sort.NEWEST: (_EPOCH + timedelta(microseconds=_MICROSECONDS_MAX), LAST_ID),
    Sort.PRICE: (-1, LAST_ID),
    Sort.DEAREST: (MINOR_MAX + 1, LAST_ID),
    Sort.TITLE: ("", LAST_ID),
}


def tokens_of(code: str, values: Sequence[str]) -> list[str]:
    """What any of some values of an attribute is listed as; a number is the same however it is written."""
    words = dict.fromkeys(f"{code}={form}" for value in values for form in _forms(value))
    return [_digest(word) if len(word) > TOKEN_LENGTH_MAX or SEPARATOR in word else word for word in words]


def _forms(value: str) -> tuple[str, ...]:
    if not _NUMBER.fullmatch(value):
        return (value,)
    number = Decimal(value)
    return (value, format(number.normalize(), "f") if number else "0")


def _digest(word: str) -> str:
    """The same as PostgreSQL's md5()."""
    return hashlib.md5(word.encode(), usedforsecurity=False).hexdigest()
