"""The decisions about a product: take a step of its lifecycle, change what it says.

A draft may say anything; it is held against its category's schema when it is submitted. What was submitted once is held
against it at each change of category or attributes, so what buyers may see never stops fitting. Other changes keep the
state and need no new approval: the history tells who changed what. Editing a rejected product makes it a draft again,
even when nothing else of it changes.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from domain.catalog.product_lifecycle import ProductStatus, Step, next_state
from domain.catalog.product_model import Change, Product, ProductDetails, ProductPatch
from domain.catalog.schema import ATTRIBUTES_MAX, Schema, check
from domain.rejections import Code, Rejection

_UNCHECKED = {ProductStatus.DRAFT, ProductStatus.REJECTED}
Schemas = Mapping[UUID, Schema]
"""By category; one that isn't there has none."""


def merge(details: ProductDetails, patch: ProductPatch) -> ProductDetails | Rejection:
    """Apply a merge patch (RFC 7396): null takes a value away, and attributes are merged one by one."""
    given = {field: value for field in patch.__struct_fields__ if (value := getattr(patch, field)) is not UNSET}
    for field in ("description", "meta_title", "meta_description"):
        if field in given:
            given[field] = given[field] or ""
    if "attributes" in given:
        merged = {} if given["attributes"] is None else {**details.attributes, **given["attributes"]}
        given["attributes"] = {code: value for code, value in merged.items() if value is not None}
        if len(given["attributes"]) > ATTRIBUTES_MAX:
            return Rejection(400, Code.INVALID_REQUEST, f"at most {ATTRIBUTES_MAX} attributes", "attributes")
    return msgspec.structs.replace(details, **given)


def take(product: Product, step: Step, *, reason: str = "") -> Product | Rejection:
    """The product after a step that asks for nothing but its state; ``reason`` says why it is rejected."""
    status = next_state(product.status, step)
    if isinstance(status, Rejection):
        return status
    return msgspec.structs.replace(product, status=status, reason=reason, version=product.version + 1)


def submit(product: Product, schemas: Schemas) -> Product | Rejection:
    """The product, submitted, if it is complete by its category's schema."""
    submitted = take(product, Step.SUBMIT)
    return submitted if isinstance(submitted, Rejection) else _fault(product.details, schemas) or submitted


def edit(product: Product, details: ProductDetails, schemas: Schemas, *, has_variants: bool) -> Product | Rejection:
    """The product with other details, one version on; itself when nothing differs. Its slug is not looked at.

    ``schemas`` are those of the categories it has and is to have.
    """
    status = next_state(product.status, Step.EDIT)
    if isinstance(status, Rejection):
        return status
    if (status, details) == (product.status, product.details):
        return product
    fault = check_category(details, schemas)
    if fault is None and has_variants and details.category_id != product.details.category_id:
        fault = _other_variants(product.details.category_id, details.category_id, schemas)
    if fault is None and product.status not in _UNCHECKED and _fitting(details) != _fitting(product.details):
        fault = _fault(details, schemas)
    return fault or msgspec.structs.replace(product, status=status, details=details, version=product.version + 1)


def check_category(details: ProductDetails, schemas: Schemas) -> Rejection | None:
    """Whether there is the category that a product is to have; a draft may do without one."""
    if details.category_id is None or details.category_id in schemas:
        return None
    return Rejection(422, Code.UNKNOWN_CATEGORY, "there is no such category", "category_id")


def _fitting(details: ProductDetails) -> tuple[object, ...]:
    """What a schema has a say in."""
    return details.category_id, details.attributes


def _fault(details: ProductDetails, schemas: Schemas) -> Rejection | None:
    if details.category_id is None:
        return Rejection(422, Code.UNKNOWN_CATEGORY, "the product has no category yet", "category_id")
    return check_category(details, schemas) or check(schemas[details.category_id], details.attributes, complete=True)


def _other_variants(before: UUID | None, after: UUID | None, schemas: Schemas) -> Rejection | None:
    if _variant_making(before, schemas) == _variant_making(after, schemas):
        return None
    detail = "the product has variants, and this category makes them from other attributes"
    return Rejection(409, Code.CONFLICT, detail, "category_id")


def _variant_making(category_id: UUID | None, schemas: Schemas) -> set[UUID]:
    schema = None if category_id is None else schemas.get(category_id)
    return set() if schema is None else {attribute.id for attribute in schema.attributes if attribute.variant_making}


def changes_of(before: Product, after: Product) -> dict[str, Change]:
    """What of a product is other now, attributes each under a name of its own (``attributes.colour``)."""
    old, new = _fields_of(before), _fields_of(after)
    names = dict.fromkeys((*old, *new))
    return {name: Change(old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _fields_of(product: Product) -> dict[str, Any]:
    details = msgspec.structs.asdict(product.details)
    attributes = {f"attributes.{code}": value for code, value in details.pop("attributes").items()}
    return {"status": product.status, "slug": product.slug, "reason": product.reason, **details, **attributes}
