"""Promotions as those who make them see them, how they were used, and their codes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from domain.connection import Connection
from domain.money import Money
from domain.pricing.book_reads import stored_promotion
from domain.pricing.codes import CODE_LENGTH_MAX
from domain.pricing.promotion_model import PromotionContent, PromotionState

CODES_TOP = 20

_COLUMNS = "id, version, seller_id, state, content::text AS content, created_at, updated_at"
LOAD_PROMOTION_VIEWS = f"SELECT {_COLUMNS} FROM promotions WHERE id = ANY ($1::uuid[])"

LIST_PROMOTIONS = f"""
SELECT {_COLUMNS} FROM promotions
WHERE id < $1 AND ($2::text IS NULL OR state = $2) ORDER BY id DESC LIMIT $3
"""

LIST_OF_SELLER = f"""
SELECT {_COLUMNS} FROM promotions
WHERE seller_id = $4 AND id < $1 AND ($2::text IS NULL OR state = $2) ORDER BY id DESC LIMIT $3
"""

LOAD_USAGE = """
SELECT currency, count(*) FILTER (WHERE returned_at IS NULL) AS uses,
       count(*) FILTER (WHERE returned_at IS NOT NULL) AS returned,
       coalesce(sum(amount_minor) FILTER (WHERE returned_at IS NULL), 0)::bigint AS amount_minor
FROM redemptions WHERE promotion_id = $1 GROUP BY currency ORDER BY currency
"""

# Buyers write a code in letters of either case; it is shown as it was made.
LOAD_USED_CODES = """
SELECT coalesce(c.text, r.key) AS code, r.uses
FROM (
    SELECT upper(code) AS key, count(*) AS uses FROM redemptions
    WHERE promotion_id = $1 AND returned_at IS NULL AND code IS NOT NULL
    GROUP BY upper(code) ORDER BY count(*) DESC, upper(code) LIMIT $2
) r
LEFT JOIN promotion_codes c ON c.key = r.key
ORDER BY r.uses DESC, r.key
"""

LIST_REDEMPTIONS = """
SELECT order_id, version, code, currency, amount_minor, redeemed_at, returned_at FROM redemptions
WHERE promotion_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3
"""

LIST_CODES = """
SELECT key, text, created_at FROM promotion_codes WHERE promotion_id = $1 AND key > $2 ORDER BY key LIMIT $3
"""


class PromotionView(Struct, frozen=True):
    """A promotion. ``seller_id`` is null for the platform's; what ``content`` doesn't name has its default."""

    id: UUID
    version: int
    seller_id: UUID | None
    state: PromotionState
    content: PromotionContent
    created_at: datetime
    updated_at: datetime


class UsedAmount(Struct, frozen=True):
    """What a promotion takes off orders of one currency."""

    uses: int
    amount: Money


class UsedCode(Struct, frozen=True):
    """How often a code brought its promotion."""

    code: str
    uses: int


class UsageView(Struct, frozen=True):
    """How a promotion is used: orders that have it now, those it came back from, and how many there may be.

    ``amounts`` is what it took off at placing, by currency; ``codes`` has those that were used most.
    """

    uses: int
    returned: int
    limit: int | None
    limit_per_user: int | None
    amounts: list[UsedAmount]
    codes: list[UsedCode]


class RedemptionView(Struct, frozen=True):
    """An order's use of a promotion, in the version it had then; ``returned_at`` where it came back."""

    order_id: UUID
    promotion_version: int
    code: str | None
    amount: Money
    redeemed_at: datetime
    returned_at: datetime | None


class CodeView(Struct, frozen=True):
    """A code, written as it was made."""

    code: str
    created_at: datetime


class CodePlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a code stands among those of its promotion."""

    key: Annotated[str, Meta(max_length=CODE_LENGTH_MAX)] = ""


def place_of(code: CodeView) -> CodePlace:
    """The place of a code."""
    return CodePlace(code.code.upper())


async def load_promotion(conn: Connection, promotion_id: UUID) -> PromotionView | None:
    """Read a promotion."""
    rows = await conn.fetch(LOAD_PROMOTION_VIEWS, [promotion_id])
    return _view(rows[0]) if rows else None


async def list_promotions(
    conn: Connection, *, seller_id: UUID | None, state: PromotionState | None, below: UUID, limit: int
) -> list[PromotionView]:
    """Read a page of a seller's promotions, or of all, the newest first."""
    of_state = None if state is None else state.value
    if seller_id is None:
        rows = await conn.fetch(LIST_PROMOTIONS, below, of_state, limit)
    else:
        rows = await conn.fetch(LIST_OF_SELLER, below, of_state, limit, seller_id)
    return [_view(row) for row in rows]


def _view(row: Any) -> PromotionView:
    promotion = stored_promotion(row)
    return PromotionView(
        id=promotion.id,
        version=promotion.version,
        seller_id=promotion.seller_id,
        state=promotion.state,
        content=promotion.content,
        created_at=promotion.created_at,
        updated_at=row["updated_at"],
    )


async def load_usage(conn: Connection, promotion: PromotionView) -> UsageView:
    """Read how a promotion is used."""
    by_currency = await conn.fetch(LOAD_USAGE, promotion.id)
    codes = await conn.fetch(LOAD_USED_CODES, promotion.id, CODES_TOP)
    return UsageView(
        uses=sum(row["uses"] for row in by_currency),
        returned=sum(row["returned"] for row in by_currency),
        limit=promotion.content.uses_max,
        limit_per_user=promotion.content.uses_per_user_max,
        amounts=[
            UsedAmount(row["uses"], Money(row["amount_minor"], row["currency"])) for row in by_currency if row["uses"]
        ],
        codes=[UsedCode(row["code"], row["uses"]) for row in codes],
    )


async def list_redemptions(conn: Connection, promotion_id: UUID, *, below: UUID, limit: int) -> list[RedemptionView]:
    """Read uses of a promotion, those of the newest orders first."""
    return [
        RedemptionView(
            row["order_id"],
            row["version"],
            row["code"],
            Money(row["amount_minor"], row["currency"]),
            row["redeemed_at"],
            row["returned_at"],
        )
        for row in await conn.fetch(LIST_REDEMPTIONS, promotion_id, below, limit)
    ]


async def list_codes(conn: Connection, promotion_id: UUID, *, after: CodePlace, limit: int) -> Sequence[CodeView]:
    """Read codes of a promotion, by their keys."""
    rows = await conn.fetch(LIST_CODES, promotion_id, after.key, limit)
    return [CodeView(row["text"], row["created_at"]) for row in rows]
