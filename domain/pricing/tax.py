"""What tax a line bears: the rate of where it goes and what it is, on what is charged for it.

Invariant: rounded once, for each line. A tax that is included changes no total; one that isn't is added. Rates are
frozen with the line, so pricing an order again never taxes it anew.
"""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.address_model import Country
from domain.money import round_half_up
from domain.text import LINE_PATTERN

PPM = 1_000_000
"""Rates are kept in parts per million: 8.875 % is 88,750."""
_DECIMALS = 4

Region = Annotated[str, Meta(min_length=1, max_length=100, pattern=LINE_PATTERN)]
Percent = Annotated[
    str,
    Meta(
        max_length=8,
        pattern=r"^(100(\.0{1,4})?|(0|[1-9][0-9]?)(\.[0-9]{1,4})?)(?![\s\S])",
        description="a percentage from 0 to 100 with at most four decimals, as a string",
    ),
]


class TaxRate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rate by destination and category: ``{"country": "DE", "percent": "19", "inclusive": true}``.

    Without a region it is the whole country's; without a category it is for whatever no other is for. ``on_shipping``
    says that a rate without a category is charged on shipping as well.
    """

    country: Country
    percent: Percent
    inclusive: bool
    region: Region | None = None
    category_id: UUID | None = None
    on_shipping: bool = False


class Destination(Struct, frozen=True):
    """Where an order goes, as far as rates care."""

    country: str
    region: str = ""


class TaxTerms(Struct, frozen=True):
    """A rate, frozen: in parts per million, and whether prices hold it already."""

    rate_ppm: int
    inclusive: bool


class Tax(Struct, frozen=True):
    """A line's tax in minor units, and how much of it is added to the price."""

    amount_minor: int
    added_minor: int


NO_TAX = Tax(0, 0)


def ppm_of(percent: Percent) -> int:
    """A percentage in parts per million, exactly."""
    whole, _, decimals = percent.partition(".")
    return int(whole + decimals.ljust(_DECIMALS, "0"))


def percent_of(rate_ppm: int) -> str:
    """Parts per million as a percentage, exactly."""
    whole, decimals = divmod(rate_ppm, 10**_DECIMALS)
    return f"{whole}.{decimals:0{_DECIMALS}}".rstrip("0").rstrip(".")


class TaxRates:
    """All rates of a marketplace, by place."""

    def __init__(self, rates: Sequence[TaxRate] = ()) -> None:
        self._places: dict[tuple[str, str], dict[UUID | None, TaxTerms]] = {}
        self._shipping: dict[tuple[str, str], TaxTerms] = {}
        for rate in rates:
            place = (rate.country, (rate.region or "").casefold())
            terms = TaxTerms(ppm_of(rate.percent), rate.inclusive)
            self._places.setdefault(place, {})[rate.category_id] = terms
            if rate.on_shipping and rate.category_id is None:
                self._shipping[place] = terms

    def on_line(self, destination: Destination | None, categories: Sequence[UUID]) -> TaxTerms | None:
        """The rate of a line: its region's before its country's, and of one place the deepest category's."""
        if destination is None:
            return None
        for place in _places(destination):
            known = self._places.get(place)
            if known is None:
                continue
            for category in (*reversed(categories), None):
                terms = known.get(category)
                if terms is not None:
                    return terms
        return None

    def on_shipping(self, destination: Destination | None) -> TaxTerms | None:
        """The rate of shipping: that of the region if it has any rates without a category, else the country's."""
        if destination is None:
            return None
        for place in _places(destination):
            if None in self._places.get(place, {}):
                return self._shipping.get(place)
        return None


def _places(destination: Destination) -> list[tuple[str, str]]:
    country = (destination.country, "")
    region = destination.region.casefold()
    return [(destination.country, region), country] if region else [country]


def tax_on(amount_minor: int, terms: TaxTerms | None) -> Tax:
    """The tax on an amount."""
    if terms is None:
        return NO_TAX
    if terms.inclusive:
        return Tax(round_half_up(amount_minor * terms.rate_ppm, PPM + terms.rate_ppm), 0)
    added = round_half_up(amount_minor * terms.rate_ppm, PPM)
    return Tax(added, added)
