"""Products: what a seller says of one, what is known of it, and what its events tell.

Invariant: what clients may write stands in :class:`ProductDetails`; everything else of a product is decided.
"""

from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.schema import ATTRIBUTES_MAX, CODE_LENGTH_MAX, Value, Values

# Characters. Search engines cut off longer titles and descriptions.
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Description = Annotated[str, Meta(max_length=2_000)]
MetaTitle = Annotated[str, Meta(max_length=70)]
MetaDescription = Annotated[str, Meta(max_length=160)]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]


class ProductDetails(Struct, frozen=True, forbid_unknown_fields=True):
    """What a seller says of a product; ``attributes`` by code, held against the category's schema when it is submitted.

    ``meta_title`` and ``meta_description`` are for search engines.
    """

    title: Title
    category_id: UUID | None = None
    description: Description = ""
    attributes: Values = {}
    meta_title: MetaTitle = ""
    meta_description: MetaDescription = ""


_Patch = Annotated[
    dict[Annotated[str, Meta(max_length=CODE_LENGTH_MAX)], Value | None], Meta(max_length=2 * ATTRIBUTES_MAX)
]


class ProductPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What of the details is to be other (RFC 7396): what isn't named stays, null takes away."""

    title: Title | UnsetType = UNSET
    category_id: UUID | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    attributes: _Patch | UnsetType | None = UNSET
    meta_title: MetaTitle | UnsetType | None = UNSET
    meta_description: MetaDescription | UnsetType | None = UNSET


class Product(Struct, frozen=True):
    """A product as decisions see it. ``reason`` is why it was rejected, while that is news."""

    id: UUID
    seller_id: UUID
    status: ProductStatus
    slug: str
    version: int
    details: ProductDetails
    reason: str = ""


class Change(Struct, frozen=True):
    """A field before and after."""

    before: Any
    after: Any


class ProductCreated(Struct, frozen=True):
    """The event ``product.created``: all of it."""

    seller_id: UUID
    status: ProductStatus
    slug: str
    title: str
    category_id: UUID | None
    description: str
    attributes: dict[str, Value]
    meta_title: str
    meta_description: str


class ProductChanged(Struct, frozen=True):
    """All other events of a product: what is other now, by field."""

    changes: dict[str, Change]
