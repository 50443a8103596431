"""Read what orders are priced by: offers, rules as far as they aren't held, and what requests name besides.

Invariant: placing and quoting read the same things, so that they decide on the same things.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from domain.accounts.account_reads import load_groups
from domain.accounts.address_sql import load_addresses_of
from domain.catalog.model import Offer, OfferKey
from domain.connection import Connection
from domain.orders.basket import Pricing, code_keys, counters_needed, limited_of_orders
from domain.orders.model import PlaceOrder
from domain.orders.price_sql import load_have_ordered
from domain.pricing.book import Book
from domain.pricing.book_reads import load_book, load_codes, load_priced_offers
from domain.pricing.use_sql import load_uses
from domain.pricing.uses import UseKey, usage_of


class Read(Struct, frozen=True):
    """What orders are decided on; ``counters`` are those of the promotions that may apply, and how far each may go."""

    counters: Mapping[UseKey, int]
    pricing: Pricing


async def load_offers_and_book(
    conn: Connection, keys: Sequence[OfferKey], held: Book
) -> tuple[dict[OfferKey, Offer], Book]:
    """Read the offers, and the rules as far as they have changed since the ones that are held."""
    offers, versions = await load_priced_offers(conn, keys)
    return offers, held if versions is None else await load_book(conn, held, versions)


async def load_pricing(
    conn: Connection, orders: Sequence[tuple[UUID, PlaceOrder]], offers: Mapping[OfferKey, Offer], book: Book
) -> Read:
    """Read what orders, each with its buyer, name besides their offers, and the counters of promotions."""
    texts = code_keys(command for _, command in orders)
    codes = await load_codes(conn, texts) if texts else {}
    wanted = [(buyer, address) for buyer, c in orders if (address := c.shipping_address_id) is not None]
    addresses = await load_addresses_of(conn, wanted) if wanted else {}
    buyers = sorted({buyer for buyer, _ in orders})
    groups = await load_groups(conn, buyers) if book.price_lists.by_group else {}
    limited = limited_of_orders(orders, offers, book, codes)
    counters = {key: most for buyer, lives in limited.items() for key, most in counters_needed(lives, buyer).items()}
    first = [buyer for buyer, lives in limited.items() if any(live.content.first_order for live in lives)]
    have_ordered = await load_have_ordered(conn, first) if first else set()
    used = await load_uses(conn, counters) if counters else {}
    usage = usage_of(used, [live.promotion for lives in limited.values() for live in lives], have_ordered)
    return Read(counters, Pricing(book, usage, codes, groups, addresses, used))
