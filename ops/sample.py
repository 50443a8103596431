"""A small, real-looking catalog: three sellers with their owners, a tree of categories, twenty products with stock.

It is written whole or not at all. Ids are the same on every machine, so that documentation can name them; the owners'
password is drawn anew and stands nowhere but in what is printed once.
"""

import secrets
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.accounts.account_sql import insert_accounts
from domain.accounts.model import NewAccount, Role
from domain.catalog.barcode import check_digit
from domain.catalog.model import OfferKey
from domain.catalog.offers import OfferTerms, WantedOffer
from domain.catalog.product_model import ProductDetails
from domain.catalog.schema import Schema
from domain.catalog.variants import Variant, combinations
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from domain.money import Money
from infra import postgres
from infra.clock import new_id
from infra.passwords import Passwords
from ops.catalog import analyse, write_sellers, write_step
from ops.goods import NewProduct, NewSeller, allowed
from ops.sample_goods import ARTICLES, ATTRIBUTES, OWNERS, SELLERS, SHELVES, Article
from ops.shelves import put_up

CURRENCY = "USD"
UNITS = 500
VARIANTS_MAX = 100
PASSWORD_BYTES = 12
RESTRICTED_CIRCULATION = "200"
"""GTINs that begin so are for use within a company (GS1): none of them is a real product's."""


class Owners(Struct, frozen=True):
    """Who may sign in for the sample's sellers, all with one password."""

    emails: list[str]
    password: str


def seller_id(index: int) -> UUID:
    """The id of a seller."""
    return ids.compose(1_700_000_000_000, (index + 1).to_bytes(8, "big"))


def variant_id(index: int, nth: int = 0) -> UUID:
    """The id of a product's first variant, or of its ``nth`` after that."""
    return ids.compose(1_700_000_001_000 + nth, (index + 1).to_bytes(8, "big"))


def product_id(index: int) -> UUID:
    """The id of a product."""
    return ids.compose(1_700_000_002_000, (index + 1).to_bytes(8, "big"))


async def write_sample(conn: Any) -> Owners | None:
    """Write the sample unless it is there; returns who owns its sellers, None when it was there."""
    if await conn.fetchval("SELECT EXISTS (SELECT FROM sellers WHERE id = $1)", seller_id(0)):
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    accounts = await _accounts(password)
    async with postgres.transaction(conn):
        # Somebody may have registered with such an address: theirs isn't ours to give a seller to.
        made = await insert_accounts(conn, accounts)
        owners = [account if account.id in made else None for account in accounts]
        await insert_events(
            conn, [Event(a.id, 1, "account.registered", "{}", SYSTEM, "sample") for a in owners if a is not None]
        )
        sellers = [
            NewSeller(seller_id(n), name, owner=None if owner is None else owner.id)
            for n, (name, owner) in enumerate(zip(SELLERS, owners, strict=True))
        ]
        await write_sellers(conn, sellers, actor=SYSTEM)
        schemas = await put_up(conn, SHELVES, ATTRIBUTES, actor=SYSTEM)
        by_name = {path[-1]: schema for path, schema in schemas.items()}
        products = [_product(n, article, by_name[article.category]) for n, article in enumerate(ARTICLES)]
        await write_step(conn, products, actor=SYSTEM, reason="sample")
    await analyse(conn)
    return Owners([owner.email for owner in owners if owner is not None], password)


async def _accounts(password: str) -> list[NewAccount]:
    passwords = Passwords()
    try:
        hashed = [await passwords.hash(password) for _ in OWNERS]
    finally:
        passwords.close()
    buyer = frozenset({Role.BUYER})
    return [
        NewAccount(new_id(), email, f"Owner of {name}", own, buyer, verified=True)
        for email, name, own in zip(OWNERS, SELLERS, hashed, strict=True)
    ]


def _product(index: int, article: Article, schema: Schema) -> NewProduct:
    attributes = {**article.attributes}
    made = allowed(combinations(schema, attributes, [], variants_max=VARIANTS_MAX))
    variants = [
        Variant(
            id=variant_id(index, nth),
            product_id=product_id(index),
            attributes=combination,
            barcode=_barcode(index, nth),
            weight_grams=article.grams,
        )
        for nth, combination in enumerate(made)
    ]
    offers = [_offer(index, nth, article, variant) for nth, variant in enumerate(variants)]
    for seller, price in article.also.items():
        terms = OfferTerms(f"S{seller + 1}-{index + 1:03d}", Money(price, CURRENCY))
        offers.append(WantedOffer(variants[0].id, seller_id(seller), terms))
    return NewProduct(
        id=product_id(index),
        seller_id=seller_id(article.seller),
        details=ProductDetails(
            article.title, schema.category_id, article.description, attributes, meta_title=article.title
        ),
        variants=variants,
        offers=offers,
        units=_units(offers),
    )


def _offer(index: int, nth: int, article: Article, variant: Variant) -> WantedOffer:
    price = article.price + sum(article.extra.get(choice, 0) for choice in variant.attributes.values())
    sku = f"S{article.seller + 1}-{index + 1:03d}" + (f"-{nth + 1}" if nth else "")
    return WantedOffer(variant.id, seller_id(article.seller), OfferTerms(sku, Money(price, CURRENCY)))


def _units(offers: list[WantedOffer]) -> dict[OfferKey, int]:
    return {offer.key: UNITS for offer in offers}


def _barcode(index: int, nth: int) -> str:
    digits = f"{RESTRICTED_CIRCULATION}{index + 1:06d}{nth:03d}"
    return digits + str(check_digit(digits))
