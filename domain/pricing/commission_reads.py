"""Commission as clients see it: rules, and what lines were charged by them."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, structs

from domain.catalog.category_sql import load_categories
from domain.connection import Connection
from domain.money import Money
from domain.pricing.commission import ConsideredRule, Priority, RateBp
from domain.pricing.commission_edit import OVERLAPS_MAX, has_ended, overlapping
from domain.pricing.commission_model import CommissionContent
from domain.pricing.commission_sql import load_open_of_priority
from domain.pricing.scope import Scope

_STATUS = """
CASE WHEN (r.content ->> 'valid_until')::timestamptz <= $1 THEN 'ended'
     WHEN NOT coalesce((r.content ->> 'active')::boolean, true) THEN 'inactive'
     WHEN (r.content ->> 'valid_from')::timestamptz > $1 THEN 'scheduled'
     ELSE 'active' END
"""
_RULES = f"""
       r.id, r.revision, r.content::text AS content, r.used, r.created_at, r.created_by, {_STATUS} AS status
FROM commission_rules r WHERE r.to_version IS NULL
"""

LOAD_RULE = f"SELECT {_RULES} AND r.id = $2"

# There are as many rules as people write: for those of a rare status, all of them are looked at.
LIST_RULES = f"SELECT {_RULES} AND r.id < $2 AND ($3::text IS NULL OR {_STATUS} = $3) ORDER BY r.id DESC LIMIT $4"

_CALCULATIONS = """
       s.order_id, s.line_no, s.seller_id, s.rule_id, s.base_minor, s.amount_minor, s.currency,
       s.considered::text AS considered, s.created_at
FROM commission_snapshots s
"""
_NEWEST = "ORDER BY s.created_at DESC, s.order_id DESC, s.line_no DESC LIMIT $4"
_BELOW = "(s.created_at, s.order_id, s.line_no) < ($1, $2, $3)"

LIST_CALCULATIONS = f"SELECT {_CALCULATIONS} WHERE {_BELOW} {_NEWEST}"
LIST_CALCULATIONS_OF_SELLER = f"SELECT {_CALCULATIONS} WHERE s.seller_id = $5 AND {_BELOW} {_NEWEST}"
LIST_CALCULATIONS_BY_RULE = f"SELECT {_CALCULATIONS} WHERE s.rule_id = $5 AND {_BELOW} {_NEWEST}"
LIST_CALCULATIONS_BETWEEN = (
    f"SELECT {_CALCULATIONS} WHERE s.seller_id = $5 AND s.created_at >= $6 AND {_BELOW} {_NEWEST}"
)

LIST_CALCULATIONS_OF_ORDER = f"SELECT {_CALCULATIONS} WHERE s.order_id = $5 AND {_BELOW} {_NEWEST}"

LOAD_TOTALS = """
SELECT s.currency, count(*) AS lines, sum(s.base_minor)::bigint AS base_minor,
       sum(s.amount_minor)::bigint AS amount_minor
FROM commission_snapshots s WHERE s.seller_id = $1 AND s.created_at >= $2 AND s.created_at < $3
GROUP BY s.currency ORDER BY s.currency
"""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_MAX = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND

_contents = msgspec.json.Decoder(CommissionContent)
_considered = msgspec.json.Decoder(list[ConsideredRule])


class RuleStatus(StrEnum):
    """Where a rule stands in its time."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    INACTIVE = "inactive"
    ENDED = "ended"


class CommissionRuleView(Struct, frozen=True):
    """A rule, as it stands. ``used`` says that orders pay by it; ``updated_at`` is when it came to say this."""

    id: UUID
    version: int
    status: RuleStatus
    used: bool
    title: str
    scope: Scope
    rate_bp: RateBp
    fixed: Money | None
    minimum: Money | None
    maximum: Money | None
    priority: Priority
    valid_from: datetime | None
    valid_until: datetime | None
    active: bool
    updated_at: datetime
    updated_by: UUID


class OverlappingRule(Struct, frozen=True):
    """A rule of the same rank for some of the same lines and times: the deeper category decides, then the lower id."""

    id: UUID
    title: str
    valid_from: datetime | None
    valid_until: datetime | None


class CommissionRuleInFull(CommissionRuleView, frozen=True, kw_only=True):
    """A rule with those it overlaps, of a hundred at most."""

    overlaps: list[OverlappingRule]


class CommissionCalculation(Struct, frozen=True):
    """What a line pays, worked out when its order was confirmed, and every rule that covered it when it was placed."""

    order_id: UUID
    line_no: int
    seller_id: UUID
    rule_id: UUID | None
    base: Money
    commission: Money
    sellers_share: Money
    considered: list[ConsideredRule]
    calculated_at: datetime


class CommissionTotal(Struct, frozen=True):
    """What a seller's lines came to in a currency."""

    lines: int
    base: Money
    commission: Money
    sellers_share: Money


class CalculationPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a calculation stands among all, newest first; ``at`` in microseconds since 1970."""

    at: Annotated[int, Meta(ge=0, le=MICROSECONDS_MAX)]
    order_id: UUID
    line_no: Annotated[int, Meta(ge=0, le=2**15 - 1)]


FIRST = CalculationPlace(MICROSECONDS_MAX, UUID(int=2**128 - 1), 0)


async def load_rule(conn: Connection, rule_id: UUID, now: datetime) -> CommissionRuleInFull | None:
    """Read a rule with what it overlaps."""
    row = await conn.fetchrow(LOAD_RULE, now, rule_id)
    if row is None:
        return None
    content = _contents.decode(row["content"])
    overlaps = await _load_overlaps(conn, rule_id, content, now)
    return CommissionRuleInFull(**_fields(row, content), overlaps=overlaps)


async def list_rules(
    conn: Connection, *, below: UUID, limit: int, now: datetime, status: RuleStatus | None = None
) -> list[CommissionRuleView]:
    """Read a page of rules, the newest first."""
    rows = await conn.fetch(LIST_RULES, now, below, None if status is None else status.value, limit)
    return [CommissionRuleView(**_fields(row, _contents.decode(row["content"]))) for row in rows]


def _fields(row: Any, content: CommissionContent) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["revision"],
        "status": RuleStatus(row["status"]),
        "used": row["used"],
        **structs.asdict(content),
        "updated_at": row["created_at"],
        "updated_by": row["created_by"],
    }


async def _load_overlaps(
    conn: Connection, rule_id: UUID, content: CommissionContent, now: datetime
) -> list[OverlappingRule]:
    if has_ended(content, now):
        return []
    others = await load_open_of_priority(conn, content.priority, now, but=rule_id)
    named = {category for each in (content, *(other for _, other in others)) for category in each.scope.categories}
    paths = {each.id: each.path for each in (await load_categories(conn, sorted(named))).values()} if named else {}
    found = overlapping(content.rule(rule_id), others, paths)[:OVERLAPS_MAX]
    return [OverlappingRule(other, each.title, each.valid_from, each.valid_until) for other, each in found]


async def list_calculations(
    conn: Connection,
    *,
    after: CalculationPlace | None,
    limit: int,
    order_id: UUID | None = None,
    seller_id: UUID | None = None,
    rule_id: UUID | None = None,
) -> list[CommissionCalculation]:
    """Read a page of calculations, the newest first: all, or those of an order, or a seller, or by a rule."""
    place = _columns(after or FIRST)
    if order_id is not None:
        rows = await conn.fetch(LIST_CALCULATIONS_OF_ORDER, *place, limit, order_id)
    elif seller_id is not None:
        rows = await conn.fetch(LIST_CALCULATIONS_OF_SELLER, *place, limit, seller_id)
    elif rule_id is not None:
        rows = await conn.fetch(LIST_CALCULATIONS_BY_RULE, *place, limit, rule_id)
    else:
        rows = await conn.fetch(LIST_CALCULATIONS, *place, limit)
    return [_calculation(row) for row in rows]


async def list_paid(
    conn: Connection, seller_id: UUID, since: datetime, *, after: CalculationPlace, limit: int
) -> list[CommissionCalculation]:
    """Read a page of a seller's calculations from a time on and below a place, the newest first."""
    rows = await conn.fetch(LIST_CALCULATIONS_BETWEEN, *_columns(after), limit, seller_id, since)
    return [_calculation(row) for row in rows]


async def load_totals(conn: Connection, seller_id: UUID, since: datetime, until: datetime) -> list[CommissionTotal]:
    """What a seller's lines came to from a time on and before another, by currency."""
    return [
        CommissionTotal(row["lines"], *_amounts(row["base_minor"], row["amount_minor"], row["currency"]))
        for row in await conn.fetch(LOAD_TOTALS, seller_id, since, until)
    ]


def place_of(calculation: CommissionCalculation) -> CalculationPlace:
    """Where a calculation stands among all."""
    return CalculationPlace(
        (calculation.calculated_at - EPOCH) // MICROSECOND, calculation.order_id, calculation.line_no
    )


def before(until: datetime) -> CalculationPlace:
    """Below which stands what was calculated before a time."""
    return CalculationPlace((until - EPOCH) // MICROSECOND, UUID(int=0), 0)


def _columns(place: CalculationPlace) -> tuple[datetime, UUID, int]:
    return EPOCH + place.at * MICROSECOND, place.order_id, place.line_no


def _amounts(base_minor: int, amount_minor: int, currency: str) -> tuple[Money, Money, Money]:
    """Base, commission, and the rest, which is the seller's."""
    return Money(base_minor, currency), Money(amount_minor, currency), Money(base_minor - amount_minor, currency)


def _calculation(row: Any) -> CommissionCalculation:
    return CommissionCalculation(
        row["order_id"],
        row["line_no"],
        row["seller_id"],
        row["rule_id"],
        *_amounts(row["base_minor"], row["amount_minor"], row["currency"]),
        considered=_considered.decode(row["considered"]),
        calculated_at=row["created_at"],
    )
