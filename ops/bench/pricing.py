"""``pricing``: ``spread`` in a marketplace full of rules, and what deciding one order costs then.

1,000 commission rules that name products, sellers or categories; 200 automatic promotions, four of them for everything
and the others for twenty products each, so that at most ten match an order; a code on a third of the orders, half of
the codes with a limit that is counted. The rules are drawn with a fixed seed.
"""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import structs

from domain.catalog.sql import load_offers
from domain.journal.model import SYSTEM
from domain.money import Money
from domain.orders.basket import basket_of
from domain.orders.model import PlaceOrder
from domain.pricing.book import empty_book
from domain.pricing.book_reads import load_book, load_codes, load_versions
from domain.pricing.code_sql import add_codes, note_batch
from domain.pricing.codes import code_key
from domain.pricing.commission_edit import StoredRule
from domain.pricing.commission_model import CommissionContent
from domain.pricing.commission_sql import PART as COMMISSION
from domain.pricing.commission_sql import Edit, write_rules
from domain.pricing.contest import no_usage
from domain.pricing.promotion_edit import CodesMade, Step
from domain.pricing.promotion_model import (
    AmountOff,
    Benefit,
    BuyXGetY,
    Level,
    PercentOff,
    PromotionContent,
    PromotionState,
    Stacking,
    StoredPromotion,
)
from domain.pricing.promotion_sql import Change, change_of, change_promotions, insert_promotions
from domain.pricing.quote import PriceVersion, quote
from domain.pricing.scope import Scope
from domain.pricing.version_sql import raise_version
from infra.clock import new_id
from ops.bench.flow import flow
from ops.bench.model import Scenario
from ops.bench.orders import CURRENCY, LINES_MAX, SEED, draw_orders
from ops.bench.stage import Stage

COMMISSION_RULES = 1_000
AUTOMATIC = 200
FOR_EVERYTHING = 4
PRODUCTS_EACH = 20
CODES = 20
MATCHING_MAX = 10
DECIDED = 400
"""Orders of four lines whose decision is timed."""


async def pricing(stage: Stage) -> Scenario:
    """Place orders where every line finds a rule and every order some promotions."""
    async with stage.scene("pricing") as scene:
        codes = await fill_with_rules(scene.conn, stage)
        orders = give_codes(draw_orders(stage.goods, stage.sizes.requests), codes)
        matching, decide_us = await _time_decisions(scene.conn, orders)
        scenario = await flow(stage, scene, orders)
        scenario.decide_us = decide_us
        scenario.note = f"at most {matching} promotions match an order of {LINES_MAX} lines"
        if matching > MATCHING_MAX:
            scenario.problems.append(f"{matching} promotions match an order, {MATCHING_MAX} were meant to")
        return scenario


async def fill_with_rules(conn: Any, stage: Stage) -> list[str]:
    """Write commission rules, promotions and codes; return the codes."""
    draw = random.Random(SEED)  # noqa: S311 - a seeded draw, so that two runs have the same rules
    products = [offer.product_id for offer in stage.goods.offers]
    sellers = [seller.id for seller in stage.goods.sellers]
    categories = [row["id"] for row in await conn.fetch("SELECT id FROM categories ORDER BY slug")]
    rules = [_rule(draw, n, products, sellers, categories) for n in range(COMMISSION_RULES)]
    automatic = [_automatic(draw, n, products) for n in range(AUTOMATIC)]
    by_code = [_by_code(n) for n in range(CODES)]
    codes = [f"BENCH-{n}" for n in range(CODES)]
    now = datetime.now(UTC)
    async with conn.transaction():
        edit = Edit(await raise_version(conn, COMMISSION), now, SYSTEM, "bench")
        await write_rules(conn, [("commission_rule.created", StoredRule(new_id(), 1, False, r)) for r in rules], edit)
        drafts = [
            StoredPromotion(new_id(), 1, None, PromotionState.DRAFT, content, now) for content in (*automatic, *by_code)
        ]
        await insert_promotions(conn, drafts, actor=SYSTEM, correlation="bench")
        active = [structs.replace(draft, state=PromotionState.ACTIVE, version=2) for draft in drafts]
        changes = [change_of(before, after, Step.ACTIVATE) for before, after in zip(drafts, active, strict=True)]
        await change_promotions(conn, changes, now, actor=SYSTEM, correlation="bench")
        made = msgspec.json.encode(CodesMade(1))
        coded = []
        for promotion, code in zip(active[AUTOMATIC:], codes, strict=True):
            await add_codes(conn, promotion.id, [code])
            await note_batch(conn, new_id(), promotion.id, 1, now)
            coded.append(Change(promotion, structs.replace(promotion, version=3), "promotion.codes_made", made))
        await change_promotions(conn, coded, now, actor=SYSTEM, correlation="bench")
    await conn.execute("ANALYZE commission_rules, promotions, promotion_codes, promotion_uses")
    return codes


def _rule(
    draw: random.Random, n: int, products: Sequence[UUID], sellers: Sequence[UUID], categories: Sequence[UUID]
) -> CommissionContent:
    scope = (
        Scope(products=(draw.choice(products),)),
        Scope(sellers=(draw.choice(sellers),)),
        Scope(categories=(draw.choice(categories),)),
        Scope(sellers=(draw.choice(sellers),), categories=(draw.choice(categories),)),
    )[n % 4]
    return CommissionContent(title=f"Rule {n}", scope=scope, rate_bp=draw.randrange(300, 2_000), priority=n % 5)


def _automatic(draw: random.Random, n: int, products: Sequence[UUID]) -> PromotionContent:
    everything = n < FOR_EVERYTHING
    scope = Scope() if everything else Scope(products=tuple(draw.sample(products, min(PRODUCTS_EACH, len(products)))))
    kinds: tuple[Benefit, ...] = (
        PercentOff(Level.LINE, 500),
        PercentOff(Level.ORDER, 300, Money(2_000, CURRENCY)),
        AmountOff(Level.ORDER, Money(150, CURRENCY)),
        BuyXGetY(Scope(), 2, Scope(), 1, 5_000),
    )
    return PromotionContent(
        title=f"Promotion {n}",
        benefit=kinds[n % len(kinds)],
        scope=scope,
        minimum_subtotal=Money(2_000, CURRENCY) if n % 3 == 0 else None,
        automatic=True,
        priority=n % 7,
        stacking=Stacking.STACKABLE if n % 2 else Stacking.GROUP,
    )


def _by_code(n: int) -> PromotionContent:
    return PromotionContent(
        title=f"Code {n}",
        benefit=PercentOff(Level.ORDER, 1_000),
        stacking=Stacking.STACKABLE,
        uses_max=1_000_000_000 if n % 2 else None,
    )


def give_codes(orders: Sequence[PlaceOrder], codes: Sequence[str]) -> list[PlaceOrder]:
    """Have every third order give a code."""
    return [
        structs.replace(order, codes=(codes[n % len(codes)],)) if n % 3 == 0 else order
        for n, order in enumerate(orders)
    ]


async def _time_decisions(conn: Any, orders: Sequence[PlaceOrder]) -> tuple[int, float]:
    """How many promotions match an order at most, and what deciding one of four lines takes of the processor, in µs."""
    large = [order for order in orders if len(order.lines) == LINES_MAX][:DECIDED]
    keys = {(line.variant_id, line.seller_id) for order in large for line in order.lines}
    offers = await load_offers(conn, sorted(keys))
    book = await load_book(conn, empty_book(), await load_versions(conn))
    codes = await load_codes(conn, sorted({code_key(code) for order in large for code in order.codes}))
    buyer, now, usage = new_id(), datetime.now(UTC), no_usage()
    baskets = []
    for order in large:
        lines = [(offers[line.variant_id, line.seller_id], line.quantity) for line in order.lines]
        priced = [(offer, quantity, offer.price_minor) for offer, quantity in lines]
        baskets.append(basket_of(order, buyer, priced, None, codes))
    took: list[float] = []
    for _ in range(5):
        began = time.process_time()
        versions = [quote(basket, book, usage, now) for basket in baskets]
        took.append(time.process_time() - began)
    matching = max(len(v.promotions) for v in versions if isinstance(v, PriceVersion))
    return matching, round(min(took) / len(baskets) * 1e6, 1)
