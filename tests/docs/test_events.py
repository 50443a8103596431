"""``docs/events.md`` lists every event type the code writes, with the fields it carries and who listens."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

import jobs
from domain.catalog.model import PriceChange
from domain.catalog.offer_sql import apply_offers, change_prices, load_states
from domain.catalog.offers import OfferTerms, WantedOffer, decide, end
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_sql import change_products, lock_products
from domain.catalog.variant_sql import update_variants
from domain.catalog.variants import Variant
from domain.event_types import EVENT_TYPES
from domain.journal.model import SYSTEM
from domain.money import Money
from infra.clock import new_id
from ops.catalog import write_catalog
from ops.event_page import drawn
from ops.goods import NewSeller
from tests.builders import offer
from tests.docs.source import PACKAGES, defined, python_files, section_of, table_rows, text_of, tree_of

PAGE = Path("docs/events.md")
NOUNS = "|".join(sorted({kind.partition(".")[0] for kind in EVENT_TYPES}))


def documented() -> dict[str, set[str]]:
    """The fields of each event type, as the page lists them."""
    rows = table_rows(section_of(PAGE, "Event types") or "")
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in rows}


def _written() -> set[str]:
    """Every string of the form ``noun.past_tense`` in our code, but for the list itself."""
    found = set()
    apart = {Path("domain/accounts/seller_payout.py"), Path("domain/event_types.py")}
    for path in python_files(*PACKAGES):
        if path.is_relative_to("infra/gateways") or path in apart:
            # Gateways have names of the same form for their own, and so have the fields of payout details.
            continue
        strings = (n.value for n in ast.walk(tree_of(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        found |= {text for text in strings if re.fullmatch(rf"({NOUNS})\.[a-z_]+", text)}
    return found


def test_the_page_is_made_of_what_is_written_and_who_listens():
    page = text_of(PAGE)
    assert page == drawn(page), "make events writes it anew; a new type needs its row, with stream and when"


def test_every_event_type_is_written_and_stands_in_the_page_once():
    assert sorted(defined("type")) == sorted(EVENT_TYPES)
    assert set(EVENT_TYPES) == _written()


def test_what_somebody_listens_to_is_written():
    for each in jobs.load_subscriptions().values():
        assert each.types is None or each.types <= set(EVENT_TYPES), each.name


@pytest.mark.anyio
async def test_the_fields_of_the_catalogs_events_are_listed(conn):
    seller = NewSeller(new_id(), "Seller")
    made = offer(seller)
    await write_catalog(conn, [seller], [made], actor=SYSTEM, reason="test")
    await change_prices(conn, [PriceChange(made.variant_id, seller.id, 7)], actor=SYSTEM)
    product = (await lock_products(conn, [made.product_id]))[made.product_id]
    for step in Step:
        after = msgspec.structs.replace(
            product, reason=f"{step}", status=ProductStatus.DRAFT, version=product.version + 1
        )
        await change_products(conn, [(product, after)], step, actor=SYSTEM)
        product = after
    variant = Variant(made.variant_id, made.product_id, {"colour": "red"}, weight_grams=1, version=2)
    await update_variants(conn, [variant], actor=SYSTEM, correlation="")
    key = (made.variant_id, seller.id)
    wanted = [WantedOffer(*key, OfferTerms("other", Money(7, "USD")))]
    await apply_offers(conn, decide(wanted, await load_states(conn, [key]), actor=SYSTEM, correlation=""))
    states = await load_states(conn, [key])
    await apply_offers(conn, end(key, states[key], actor=SYSTEM, correlation=""))
    rows = await conn.fetch("SELECT type, data FROM events")
    page = documented()
    written = {row["type"]: set(msgspec.json.decode(row["data"])) for row in rows}
    assert written == {kind: page[kind] for kind in written}
    assert {kind for kind in EVENT_TYPES if kind.startswith(("product.", "variant.", "offer."))} <= set(written)
