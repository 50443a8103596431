"""What of an attribute may change, and when.

Invariant: no edit changes what a value means that somebody has given or may be giving: code, kind and whether it makes
variants are settled once a category asks for the attribute, the unit once a product has a value; no choice goes that
a value holds, and no attribute that a product has a value for.
"""

from collections.abc import Collection

from msgspec import Struct

from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import AttributeEdit
from domain.catalog.tree import counted
from domain.rejections import Code, Rejection

_NAMED_LENGTH_MAX = 200
_CHOOSING = {AttributeKind.CHOICE, AttributeKind.MULTI_CHOICE}


class ValueUse(Struct, frozen=True):
    """How many products and variants have values in question."""

    products: int = 0
    variants: int = 0

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.products + self.variants > 0


class AttributeUse(Struct, frozen=True):
    """Who uses an attribute: categories that ask for it by themselves, values of it, values of choices that would go.

    A product has a value only of what its category asks for, so without categories there are no values.
    """

    categories: int
    values: ValueUse = ValueUse()
    gone: ValueUse = ValueUse()


def check_form(edit: AttributeEdit) -> Rejection | None:
    """Find what contradicts itself in an attribute that a client sent."""
    if edit.kind in _CHOOSING and not edit.choices:
        return _invalid("choices", f"an attribute of the kind {edit.kind.value} has choices")
    if edit.kind not in _CHOOSING and edit.choices:
        return _invalid("choices", f"an attribute of the kind {edit.kind.value} has no choices")
    seen: set[str] = set()
    for index, choice in enumerate(edit.choices):
        if choice in seen:
            return _invalid(f"choices[{index}]", "the same choice stands twice")
        seen.add(choice)
    if edit.variant_making and edit.kind is not AttributeKind.CHOICE:
        return _invalid("variant_making", "what makes variants is a choice")
    return None


def _invalid(path: str, detail: str) -> Rejection:
    return Rejection(400, Code.INVALID_REQUEST, detail, path)


def check_change(before: AttributeEdit, after: AttributeEdit, use: AttributeUse) -> Rejection | None:
    """Refuse a change that values rely on not to happen."""
    settled = [field for field in ("code", "kind", "variant_making") if getattr(before, field) != getattr(after, field)]
    if settled and use.categories:
        return _in_use(f"{_uses(use)}: its {settled[0]} can't change", settled[0])
    if use.values.any and before.unit != after.unit:
        return _in_use(f"{_holders(use.values)} values in its unit, which can't change", "unit")
    if use.gone.any:
        gone = ", ".join(choice for choice in before.choices if choice not in after.choices)
        return _in_use(f"{_holders(use.gone)} choices that would go ({gone[:_NAMED_LENGTH_MAX]})", "choices")
    return None


def check_losers(products: int, codes: Collection[str]) -> Rejection | None:
    """Refuse to take attributes away from products that have values for them."""
    if not products:
        return None
    subject = counted(products, "product has", "products have")
    named = ", ".join(sorted(codes))[:_NAMED_LENGTH_MAX]
    return _in_use(f"{subject} values for what the category would ask for no more: {named}")


def check_unused(use: AttributeUse) -> Rejection | None:
    """Refuse to delete what is in use, and say by what."""
    return _in_use(_uses(use)) if use.categories else None


def _in_use(detail: str, path: str | None = None) -> Rejection:
    return Rejection(409, Code.ATTRIBUTE_IN_USE, detail, path)


def _holders(use: ValueUse) -> str:
    products = counted(use.products, "product", "products")
    return f"{products} and {counted(use.variants, 'variant', 'variants')} have"


def _uses(use: AttributeUse) -> str:
    return counted(use.categories, "category asks for it", "categories ask for it")
