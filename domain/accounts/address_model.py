"""Where an account's orders may go: an address as it is written on a parcel.

Countries differ in what an address needs, so only what every one has is required: who, street, city, country. Nothing
of an address stands in events: they are kept for good, and an address is its owner's to take back.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.address_countries import COUNTRIES
from domain.rejections import Code, Rejection
from domain.text import EMPTY_OR_LINE_PATTERN, LINE_PATTERN

ADDRESSES_MAX = 100

Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
OptionalLine = Annotated[str, Meta(max_length=200, pattern=EMPTY_OR_LINE_PATTERN)]


# The description lists them; that another one is none is told by ``fault_of``.
Country = Annotated[
    str, Meta(min_length=2, max_length=2, pattern="^[A-Z]{2}", extra_json_schema={"enum": sorted(COUNTRIES)})
]


class PostalAddress(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An address. ``country`` is an ISO 3166-1 alpha-2 code, ``region`` a state or province."""

    name: Line
    company: OptionalLine = ""
    line1: Line
    line2: OptionalLine = ""
    postal_code: Annotated[str, Meta(max_length=20, pattern=EMPTY_OR_LINE_PATTERN)] = ""
    city: Line
    region: Annotated[str, Meta(max_length=100, pattern=EMPTY_OR_LINE_PATTERN)] = ""
    country: Country
    phone: Annotated[str, Meta(max_length=40, pattern=EMPTY_OR_LINE_PATTERN)] = ""


class Address(PostalAddress, frozen=True, kw_only=True):
    """An address in an account's book."""

    id: UUID
    version: int
    created_at: datetime


class AddressOf(Struct, frozen=True):
    """Data of the events of an address: whose it is."""

    account_id: UUID


def fault_of(address: PostalAddress) -> Rejection | None:
    """What is wrong with an address beyond its form."""
    if address.country not in COUNTRIES:
        detail = "there is no such country: use an ISO 3166-1 alpha-2 code"
        return Rejection(400, Code.INVALID_REQUEST, detail, "country")
    return None


def refuse_another(count: int) -> Rejection | None:
    """Refuse an address more to an account that has as many as it may."""
    if count < ADDRESSES_MAX:
        return None
    detail = f"an account has at most {ADDRESSES_MAX} addresses: remove one first"
    return Rejection(409, Code.LIMIT_REACHED, detail)
