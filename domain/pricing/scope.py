"""Which lines a rule is about: products, variants, sellers, categories.

Invariant: within a dimension any of its values matches, across dimensions all must; a dimension without values matches
everything, and a category covers its descendants. Commission rules and promotions share this, and its index: rules are
told apart by the bits of a number, so a line's rules are a few intersections however many rules there are.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

VALUES_MAX = 1_000

Ids = Annotated[tuple[UUID, ...], Meta(max_length=VALUES_MAX)]


class Scope(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is covered; without any value, everything."""

    products: Ids = ()
    variants: Ids = ()
    sellers: Ids = ()
    categories: Ids = ()


class Facts(Struct, frozen=True):
    """What rules look at in a line. ``categories`` leads from the root to the product's own category."""

    product_id: UUID
    variant_id: UUID
    seller_id: UUID
    categories: tuple[UUID, ...] = ()


class _Dimension:
    """One dimension of many scopes: who names a value, and who names none."""

    __slots__ = ("anything", "naming")

    def __init__(self, values_of_scopes: Sequence[tuple[UUID, ...]]) -> None:
        self.anything = 0
        self.naming: dict[UUID, int] = {}
        for n, values in enumerate(values_of_scopes):
            if not values:
                self.anything |= 1 << n
            for value in values:
                self.naming[value] = self.naming.get(value, 0) | 1 << n


class Index:
    """Finds those of many scopes that cover a line: bit n stands for the n-th scope."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._products = _Dimension([scope.products for scope in scopes])
        self._variants = _Dimension([scope.variants for scope in scopes])
        self._sellers = _Dimension([scope.sellers for scope in scopes])
        self._categories = _Dimension([scope.categories for scope in scopes])

    def matching(self, facts: Facts) -> int:
        """The scopes that cover a line, as bits."""
        found = self._sellers.anything | self._sellers.naming.get(facts.seller_id, 0)
        found &= self._products.anything | self._products.naming.get(facts.product_id, 0)
        found &= self._variants.anything | self._variants.naming.get(facts.variant_id, 0)
        in_category = self._categories.anything
        naming = self._categories.naming
        for category in facts.categories:
            in_category |= naming.get(category, 0)
        return found & in_category


def covers(scope: Scope, facts: Facts) -> bool:
    """Whether one scope covers a line."""
    return (
        (not scope.products or facts.product_id in scope.products)
        and (not scope.variants or facts.variant_id in scope.variants)
        and (not scope.sellers or facts.seller_id in scope.sellers)
        and (not scope.categories or any(category in scope.categories for category in facts.categories))
    )


def bits_of(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
