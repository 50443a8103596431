"""Which variants a product has: one for each combination of the values of its variant-making attributes.

Invariant: a combination is made once. What is there already stays as it is, also when the product has lost the value
it was made from: orders name variants, so none is taken away. How many there would be is known before one is built.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from domain.catalog.barcode import Barcode, is_gtin
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.schema import Schema, Value, check
from domain.journal.model import Event
from domain.rejections import Code, Rejection

WEIGHT_GRAMS_MAX = 10**9

Combination = dict[str, str]
"""One choice for each of a product's variant-making attributes, by code: ``{"size": "S", "colour": "red"}``."""

Weight = Annotated[int, Meta(ge=0, le=WEIGHT_GRAMS_MAX, description="grams")]


class Variant(Struct, frozen=True):
    """What of a product can be bought, while it is active."""

    id: UUID
    product_id: UUID
    attributes: Combination
    active: bool = True
    barcode: str | None = None
    weight_grams: int | None = None
    version: int = 1


class OwnedVariant(Struct, frozen=True):
    """A variant, whose product it is of, and in what state that product is."""

    variant: Variant
    seller_id: UUID
    product_status: ProductStatus

    @property
    def is_shown(self) -> bool:
        """Whether anybody may see it, and every approved seller may offer it."""
        return self.variant.active and self.product_status is ProductStatus.ACTIVE


class VariantList(Struct, frozen=True):
    """All variants of a product in the order they were made, and which of them were made just now."""

    items: list[Variant]
    created: list[UUID]


class VariantChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What of a variant is to be another one (RFC 7396): what isn't named stays, null takes away."""

    active: bool | UnsetType = UNSET
    barcode: Barcode | UnsetType | None = UNSET
    weight_grams: Weight | UnsetType | None = UNSET


class VariantFacts(Struct, frozen=True):
    """The events ``variant.created`` and ``variant.changed``: the variant from now on."""

    product_id: UUID
    attributes: Combination
    active: bool
    barcode: str | None
    weight_grams: int | None


def created(variant: Variant, *, actor: UUID, correlation: str) -> Event:
    """The event of a new variant."""
    return Event(variant.id, variant.version, "variant.created", _facts(variant), actor, correlation)


def changed(variant: Variant, *, actor: UUID, correlation: str) -> Event:
    """The event of a change that led to this variant."""
    return Event(variant.id, variant.version, "variant.changed", _facts(variant), actor, correlation)


def check_state(status: ProductStatus) -> Rejection | None:
    """Refuse to make or change variants of a product that is archived."""
    if status is not ProductStatus.ARCHIVED:
        return None
    return Rejection(409, Code.PRODUCT_STATE, "the product is archived: its variants stay as they are")


def change(variant: Variant, wish: VariantChange) -> Variant | Rejection:
    """The variant after a change, one version on; the same one when nothing differs."""
    wanted = {name: value for name in wish.__struct_fields__ if (value := getattr(wish, name)) is not UNSET}
    if isinstance(wish.barcode, str) and not is_gtin(wish.barcode):
        return Rejection(400, Code.INVALID_REQUEST, "the last digit doesn't prove the others: misread?", "barcode")
    after = msgspec.structs.replace(variant, **wanted)
    return variant if after == variant else msgspec.structs.replace(after, version=variant.version + 1)


def combinations(
    schema: Schema, attributes: Mapping[str, Value], existing: Sequence[Mapping[str, str]], *, variants_max: int
) -> list[Combination] | Rejection:
    """The combinations a product lacks, the last attribute's values changing fastest; or why it can't have them.

    ``attributes`` are the product's own. Of the variant-making ones those that the category requires must be there;
    one that has no value makes no variants, and without any the product has one variant, ``{}``. ``existing`` are the
    combinations of all its variants, whatever they were made from: together they are at most ``variants_max``.
    """
    making = Schema(schema.category_id, tuple(a for a in schema.attributes if a.variant_making))
    values = {a.code: attributes[a.code] for a in making.attributes if a.code in attributes}
    fault = check(making, values, complete=True)
    if fault is not None:
        return fault
    axes = {code: value for code, value in values.items() if isinstance(value, list)}
    size = prod(len(choices) for choices in axes.values())
    if size > variants_max:
        return _too_many(size, variants_max)
    known = {_key(combination) for combination in existing}
    made = (dict(zip(axes, choices, strict=True)) for choices in product(*axes.values()))
    missing = [combination for combination in made if _key(combination) not in known]
    if len(known) + len(missing) > variants_max:
        return _too_many(len(known) + len(missing), variants_max)
    return missing


def _key(combination: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(combination.items())


def _too_many(size: int, variants_max: int) -> Rejection:
    detail = f"the product would have {size:,} variants, and may have {variants_max:,}"
    return Rejection(422, Code.TOO_MANY_VARIANTS, detail)


def _facts(variant: Variant) -> str:
    facts = VariantFacts(variant.product_id, variant.attributes, variant.active, variant.barcode, variant.weight_grams)
    return msgspec.json.encode(facts).decode()
