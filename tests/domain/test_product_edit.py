"""Changing what a product says: merging, checking, and what is told of it."""

import json
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.product_edit import changes_of, edit, merge, submit, take
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_model import Product, ProductDetails, ProductPatch
from domain.catalog.schema import ATTRIBUTES_MAX, Attribute, AttributeKind, Schema
from domain.rejections import Code, Rejection

SHIRTS, MUGS, TREES = uuid4(), uuid4(), uuid4()


def _attribute(code: str, kind: AttributeKind, *, required: bool = False, making: bool = False) -> Attribute:
    choices = ("S", "M", "L") if kind is AttributeKind.CHOICE else ()
    return Attribute(UUID(int=len(code)), code, code.title(), kind, None, required, choices, making)


SIZE = _attribute("size", AttributeKind.CHOICE, making=True)
FABRIC = _attribute("fabric", AttributeKind.TEXT, required=True)
VOLUME = _attribute("volume", AttributeKind.NUMBER)
SCHEMAS = {SHIRTS: Schema(SHIRTS, (SIZE, FABRIC)), MUGS: Schema(MUGS, (VOLUME,)), TREES: Schema(TREES, (SIZE, FABRIC))}
SHIRT = ProductDetails("Shirt", SHIRTS, attributes={"size": ["S", "M"], "fabric": "wool"})


def _product(status: ProductStatus, details: ProductDetails = SHIRT, *, reason: str = "") -> Product:
    return Product(uuid4(), uuid4(), status, "shirt", 3, details, reason)


def _edit(product: Product, *, has_variants: bool = False, **fields: Any) -> Product | Rejection:
    details = msgspec.structs.replace(product.details, **fields)
    return edit(product, details, SCHEMAS, has_variants=has_variants)


def _refused(found: Product | Rejection) -> tuple[int, Code, str | None]:
    assert isinstance(found, Rejection), found
    return found.status, found.code, found.path


@pytest.mark.parametrize("status", [ProductStatus.APPROVED, ProductStatus.ACTIVE, ProductStatus.INACTIVE])
def test_texts_of_an_approved_product_change_and_its_state_stays(status: ProductStatus):
    edited = _edit(_product(status), title="Warm shirt", meta_title="Shirts")
    assert isinstance(edited, Product)
    assert (edited.status, edited.version, edited.details.title) == (status, 4, "Warm shirt")


@pytest.mark.parametrize("status", [ProductStatus.APPROVED, ProductStatus.ACTIVE, ProductStatus.INACTIVE])
def test_attributes_of_an_approved_product_are_checked_at_once(status: ProductStatus):
    product = _product(status)
    assert _refused(_edit(product, attributes={"size": ["S"]})) == (422, Code.ATTRIBUTE_INVALID, "attributes.fabric")
    assert _refused(_edit(product, category_id=MUGS)) == (422, Code.ATTRIBUTE_INVALID, "attributes.size")
    assert _refused(_edit(product, category_id=None)) == (422, Code.UNKNOWN_CATEGORY, "category_id")
    assert isinstance(_edit(product, attributes={"size": ["S"], "fabric": "felt"}), Product)


def test_a_draft_may_say_anything_in_any_category_that_there_is():
    draft = _product(ProductStatus.DRAFT)
    assert isinstance(_edit(draft, attributes={"nonsense": True}), Product)
    assert _refused(_edit(draft, category_id=uuid4())) == (422, Code.UNKNOWN_CATEGORY, "category_id")


def test_what_never_had_a_category_may_change_its_texts():
    imported = _product(ProductStatus.ACTIVE, ProductDetails("Mug"))
    assert isinstance(_edit(imported, title="Cup"), Product)
    assert _refused(_edit(imported, attributes={"volume": 3})) == (422, Code.UNKNOWN_CATEGORY, "category_id")


def test_an_edit_that_changes_nothing_is_none():
    product = _product(ProductStatus.ACTIVE)
    assert _edit(product) is product


def test_an_edit_of_a_rejected_product_makes_it_a_draft_that_still_says_why():
    edited = _edit(_product(ProductStatus.REJECTED, reason="blurry"))
    assert isinstance(edited, Product)
    assert (edited.status, edited.reason, edited.version) == (ProductStatus.DRAFT, "blurry", 4)
    submitted = submit(edited, SCHEMAS)
    assert isinstance(submitted, Product)
    assert submitted.reason == ""


@pytest.mark.parametrize("status", [ProductStatus.PENDING_APPROVAL, ProductStatus.ARCHIVED])
def test_what_waits_for_approval_or_is_archived_is_not_edited(status: ProductStatus):
    assert _refused(_edit(_product(status), title="Other")) == (409, Code.PRODUCT_STATE, None)


def test_with_variants_only_a_category_that_makes_them_from_the_same_attributes_will_do():
    draft = _product(ProductStatus.DRAFT)
    assert _refused(_edit(draft, has_variants=True, category_id=MUGS)) == (409, Code.CONFLICT, "category_id")
    assert _refused(_edit(draft, has_variants=True, category_id=None)) == (409, Code.CONFLICT, "category_id")
    assert isinstance(_edit(draft, has_variants=True, category_id=TREES), Product)
    assert isinstance(_edit(draft, category_id=MUGS), Product)


def test_attributes_are_checked_at_submit_and_the_category_is_needed():
    whole = submit(_product(ProductStatus.DRAFT), SCHEMAS)
    assert isinstance(whole, Product)
    assert (whole.status, whole.version) == (ProductStatus.PENDING_APPROVAL, 4)
    for details, code, path in (
        (ProductDetails("Shirt", SHIRTS, attributes={"size": ["S"]}), Code.ATTRIBUTE_INVALID, "attributes.fabric"),
        (ProductDetails("Shirt", SHIRTS, attributes={"size": ["XL"]}), Code.ATTRIBUTE_INVALID, "attributes.size"),
        (ProductDetails("Shirt"), Code.UNKNOWN_CATEGORY, "category_id"),
        (ProductDetails("Shirt", uuid4()), Code.UNKNOWN_CATEGORY, "category_id"),
    ):
        assert _refused(submit(_product(ProductStatus.DRAFT, details), SCHEMAS)) == (422, code, path)


def test_a_state_is_looked_at_before_anything_else():
    archived = _product(ProductStatus.ARCHIVED, ProductDetails("Shirt"))
    assert _refused(submit(archived, SCHEMAS)) == (409, Code.PRODUCT_STATE, None)


def test_a_rejection_keeps_its_reason_and_is_told():
    waiting = _product(ProductStatus.PENDING_APPROVAL)
    rejected = take(waiting, Step.REJECT, reason="blurry")
    assert isinstance(rejected, Product)
    told = json.loads(msgspec.json.encode(changes_of(waiting, rejected)))
    assert told == {
        "status": {"before": "pending_approval", "after": "rejected"},
        "reason": {"before": "", "after": "blurry"},
    }


def test_each_attribute_that_changes_is_told_by_itself():
    before = _product(ProductStatus.DRAFT)
    after = _edit(before, title="Shirts", attributes={"size": ["S"], "weight": 3})
    assert isinstance(after, Product)
    assert json.loads(msgspec.json.encode(changes_of(before, after))) == {
        "title": {"before": "Shirt", "after": "Shirts"},
        "attributes.size": {"before": ["S", "M"], "after": ["S"]},
        "attributes.fabric": {"before": "wool", "after": None},
        "attributes.weight": {"before": None, "after": 3},
    }


texts = st.text("abc", max_size=3)
values = st.one_of(texts, st.booleans(), st.integers(-9, 9), st.lists(texts, max_size=2))
codes = st.sampled_from(["colour", "size", "fabric"])


def _merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge_patch(merged.get(name), value)
    return merged


@given(
    st.fixed_dictionaries({"title": st.just("T"), "description": texts, "attributes": st.dictionaries(codes, values)}),
    st.fixed_dictionaries(
        {},
        optional={
            "title": st.sampled_from(["A", "B"]),
            "description": st.none() | texts,
            "meta_title": st.none() | texts,
            "category_id": st.none() | st.just(str(SHIRTS)),
            "attributes": st.none() | st.dictionaries(codes, st.none() | values),
        },
    ),
)
def test_a_merge_patch_does_what_rfc_7396_says(stands: dict[str, Any], patch: dict[str, Any]):
    details = msgspec.convert(stands, ProductDetails)
    merged = merge(details, msgspec.convert(patch, ProductPatch))
    assert merged == msgspec.convert(_merge_patch(stands, patch), ProductDetails)


def test_a_merge_that_makes_too_many_attributes_is_refused():
    many = ProductDetails("T", attributes={f"a{n}": 1 for n in range(ATTRIBUTES_MAX)})
    merged = merge(many, ProductPatch(attributes={"b": 1}))
    assert isinstance(merged, Rejection)
    assert (merged.status, merged.path) == (400, "attributes")
    assert isinstance(merge(many, ProductPatch(attributes={"b": 1, "a0": None})), ProductDetails)
