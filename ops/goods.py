"""What is written to a catalog that nobody fills by hand: products with their variants, offers and first stock.

Invariant: what comes out of here passed the checks of the routes. Terms and details are held against their types, a
product's attributes against its category's schema, and its variants are the combinations of its own values; the first
fault is one line.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.model import OfferKey
from domain.catalog.offers import OfferTerms, WantedOffer, check_terms
from domain.catalog.product_edit import submit
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.product_model import Product, ProductDetails
from domain.catalog.schema import AttributeKind, Schema
from domain.catalog.taxonomy import AttributeEdit
from domain.catalog.variants import Combination, Variant, combinations
from domain.limits import Limits
from domain.money import Money
from domain.rejections import Rejection

T = TypeVar("T")
S = TypeVar("S", bound=Struct)
Path = tuple[str, ...]
"""The names of a category and of those above it, the root's first."""


class CatalogError(Exception):
    """What is to be written breaks a rule of the catalog; the message is one line."""


class NewSeller(Struct, frozen=True):
    """A seller to write, approved from the start; with an account that applied for it, that is its owner."""

    id: UUID
    name: str
    owner: UUID | None = None


class NewOffer(Struct, frozen=True):
    """A variant's offer, with what product it is of and the units received with it. ``category`` is a root's name."""

    product_id: UUID
    variant_id: UUID
    seller_id: UUID
    title: str
    category: str
    attributes: Combination
    sku: str
    price_minor: int
    currency: str
    units: int


class NewProduct(Struct, frozen=True):
    """A product to write. ``variants`` are those whose ids, barcodes and weights are known before they are made."""

    id: UUID
    seller_id: UUID
    details: ProductDetails
    variants: Sequence[Variant]
    offers: Sequence[WantedOffer]
    units: Mapping[OfferKey, int]


class Shelf(Struct, frozen=True):
    """A category by its path, the attributes it asks for by itself, and those of them that it requires."""

    path: Path
    asks: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


def allowed(decided: T | Rejection) -> T:
    """What was decided; raises CatalogError when it was a refusal."""
    if isinstance(decided, Rejection):
        raise CatalogError(f"{decided.path}: {decided.detail}" if decided.path else decided.detail)
    return decided


def well_formed(value: S) -> S:
    """A Struct held against its own type, as if a client had sent it; raises CatalogError."""
    try:
        return msgspec.convert(msgspec.to_builtins(value), type(value))
    except msgspec.ValidationError as error:
        raise CatalogError(f"{type(value).__name__}: {error}") from None


def product_of(product: NewProduct, slug: str, schema: Schema) -> Product:
    """The product, active from the start: it was approved where it comes from. A draft of it could be submitted."""
    draft = Product(product.id, product.seller_id, ProductStatus.DRAFT, slug, 1, well_formed(product.details))
    allowed(submit(draft, {schema.category_id: schema}))
    return msgspec.structs.replace(draft, status=ProductStatus.ACTIVE)


def variants_of(product: NewProduct, schema: Schema, new_id: Callable[[], UUID]) -> list[Variant]:
    """One variant for each combination of the product's values; new ids for those that weren't known before."""
    made = allowed(combinations(schema, product.details.attributes, [], variants_max=Limits().variants_max))
    known = {_key(variant.attributes): variant for variant in product.variants}
    strange = known.keys() - {_key(each) for each in made}
    if strange:
        raise CatalogError(f"product {product.id}: {dict(strange.pop())} is no combination of its values")
    return [known[_key(each)] if _key(each) in known else Variant(new_id(), product.id, each) for each in made]


def _key(combination: Combination) -> frozenset[tuple[str, str]]:
    return frozenset(combination.items())


def offers_of(products: Iterable[NewProduct]) -> list[WantedOffer]:
    """All offers, their terms in order."""
    found: list[WantedOffer] = []
    for product in products:
        for offer in product.offers:
            allowed(check_terms(well_formed(offer.terms)))
            found.append(offer)
    return found


def shelves_of(offers: Sequence[NewOffer]) -> tuple[list[Shelf], list[AttributeEdit]]:
    """The categories and the variant-making attributes that single offers need."""
    asks: dict[str, dict[str, None]] = {}
    choices: dict[str, dict[str, None]] = {}
    for offer in offers:
        asked = asks.setdefault(offer.category, {})
        for code, value in offer.attributes.items():
            asked[code] = None
            choices.setdefault(code, {})[value] = None
    attributes = [
        AttributeEdit(code, code.capitalize(), AttributeKind.CHOICE, choices=tuple(values), variant_making=True)
        for code, values in choices.items()
    ]
    return [Shelf((name,), tuple(asks[name])) for name in sorted(asks)], attributes


def products_of(offers: Sequence[NewOffer], schemas: Mapping[Path, Schema]) -> list[NewProduct]:
    """Single offers put together by product: its owner is who offers it first, its values those of its variants."""
    by_product: dict[UUID, list[NewOffer]] = {}
    for offer in offers:
        by_product.setdefault(offer.product_id, []).append(offer)
    return [_product(of_product, schemas) for of_product in by_product.values()]


def _product(offers: Sequence[NewOffer], schemas: Mapping[Path, Schema]) -> NewProduct:
    first = offers[0]
    values: dict[str, list[str]] = {}
    for offer in offers:
        for code, value in offer.attributes.items():
            if value not in values.setdefault(code, []):
                values[code].append(value)
    variants = {offer.variant_id: Variant(offer.variant_id, first.product_id, offer.attributes) for offer in offers}
    return NewProduct(
        id=first.product_id,
        seller_id=first.seller_id,
        details=ProductDetails(first.title, schemas[first.category,].category_id, attributes={**values}),
        variants=list(variants.values()),
        offers=[
            WantedOffer(o.variant_id, o.seller_id, OfferTerms(o.sku, Money(o.price_minor, o.currency))) for o in offers
        ],
        units={(o.variant_id, o.seller_id): o.units for o in offers},
    )


def steps_of(products: Sequence[NewProduct], offers_max: int) -> Iterator[list[NewProduct]]:
    """Cut products into steps of so many offers, a product's together."""
    step: list[NewProduct] = []
    count = 0
    for product in products:
        if step and count + len(product.offers) > offers_max:
            yield step
            step, count = [], 0
        step.append(product)
        count += len(product.offers)
    if step:
        yield step
