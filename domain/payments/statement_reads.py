"""What sellers are told of their money: how it stands, and each entry that made it so.

A seller's view has the ledger's sign turned round: what they are owed is positive. A statement's running balance goes
on from page to page, so whatever is shown adds up.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from domain.connection import Connection
from domain.ids import format_order_number
from domain.money import Currency
from domain.payments.ledger import PostingKind
from domain.payments.ledger_reads import EPOCH, MICROSECOND, At, Position, SignedMoney

# One statement, so one snapshot: the parts add up whatever is booked meanwhile.
LOAD_BALANCES = """
SELECT a.currency, -a.balance_minor AS payable_minor, d.amount_minor AS due_minor, h.amount_minor AS held_minor,
       p.amount_minor AS in_payouts_minor
FROM ledger_accounts a
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.balance_minor), 0)::bigint AS amount_minor FROM settlements s
    WHERE s.currency = a.currency AND s.seller_id = $1 AND s.settles_at <= $3
      AND s.settles_at IS NOT NULL AND s.balance_minor <> 0 AND s.disputes = 0
) d
CROSS JOIN LATERAL (
    SELECT coalesce(sum(s.balance_minor), 0)::bigint AS amount_minor FROM settlements s
    WHERE s.seller_id = $1 AND s.currency = a.currency AND s.disputes > 0
) h
CROSS JOIN LATERAL (
    SELECT coalesce(sum(i.amount_minor), 0)::bigint AS amount_minor
    FROM payout_items i JOIN payouts o ON o.id = i.payout_id
    WHERE i.seller_id = $1 AND i.state = 'included' AND o.currency = a.currency
) p
WHERE a.account = 'seller_payable' AND a.owner = $2
ORDER BY a.currency
"""

# Counted back from what the account has now: a statement is mostly of late.
LOAD_BOUNDS = """
SELECT -(a.balance_minor - b.amount_minor) AS opening_minor, -(a.balance_minor - c.amount_minor) AS closing_minor
FROM ledger_accounts a
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_minor), 0)::bigint AS amount_minor FROM ledger_entries e
    WHERE e.account = a.account AND e.owner = a.owner AND e.currency = a.currency AND e.at >= $3
) b
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount_minor), 0)::bigint AS amount_minor FROM ledger_entries e
    WHERE e.account = a.account AND e.owner = a.owner AND e.currency = a.currency AND e.at >= $4
) c
WHERE a.account = 'seller_payable' AND a.owner = $1 AND a.currency = $2
"""

LIST_LINES = """
SELECT e.kind, -e.amount_minor AS amount_minor, e.order_id, o.number, e.at, e.position
FROM ledger_entries e LEFT JOIN orders o ON o.id = e.order_id
WHERE e.account = 'seller_payable' AND e.owner = $1 AND e.currency = $2
  AND (e.at, e.position) > ($3, $4) AND e.at < $5
ORDER BY e.at, e.position LIMIT $6
"""

_BIGINT = 2**63 - 1


class BalanceView(Struct, frozen=True):
    """How a seller stands in a currency: ``balance`` is the sum of the four parts.

    ``pending`` hasn't settled yet, ``available`` is what the next payout may take, ``in_payouts`` is taken and not yet
    paid, ``held`` is of orders with an open chargeback. A part is negative where more was given back than is left.
    """

    currency: Currency
    balance: SignedMoney
    pending: SignedMoney
    available: SignedMoney
    in_payouts: SignedMoney
    held: SignedMoney


class Balances(Struct, frozen=True):
    """How a seller stands, by currency."""

    seller_id: UUID
    balances: list[BalanceView]


class StatementLine(Struct, frozen=True):
    """Something that changed what a seller is owed, and what that came to; ``order`` is the order's number."""

    at: datetime
    kind: PostingKind
    order_id: UUID | None
    order: str | None
    amount: SignedMoney
    balance: SignedMoney
    position: int


class Period(Struct, frozen=True):
    """A seller's account from a time to before another."""

    seller_id: UUID
    currency: str
    begins: datetime
    ends: datetime


class StatementPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a line stands in its statement, and the balance after it; ``at`` in microseconds since 1970."""

    at: At
    position: Position
    balance_minor: Annotated[int, Meta(ge=-_BIGINT, le=_BIGINT)]


class Days(Struct, frozen=True):
    """The days a statement is of, in UTC, the last one included."""

    first: date = field(name="from")
    last: date = field(name="to")


async def load_balances(conn: Connection, seller_id: UUID, now: datetime) -> Balances:
    """Read how a seller stands."""
    rows: Sequence[Any] = await conn.fetch(LOAD_BALANCES, seller_id, str(seller_id), now)
    return Balances(seller_id, [_balance(row) for row in rows])


async def load_bounds(conn: Connection, period: Period) -> tuple[int, int]:
    """What a seller was owed at the beginning of a period and at its end."""
    key = (str(period.seller_id), period.currency)
    row = await conn.fetchrow(LOAD_BOUNDS, *key, period.begins, period.ends)
    return (0, 0) if row is None else (row["opening_minor"], row["closing_minor"])


async def list_lines(conn: Connection, period: Period, after: StatementPlace, limit: int) -> list[StatementLine]:
    """Read lines of a period, the oldest first, with the balance after each."""
    key, since = (str(period.seller_id), period.currency), EPOCH + after.at * MICROSECOND
    rows: Sequence[Any] = await conn.fetch(LIST_LINES, *key, since, after.position, period.ends, limit)
    lines, balance = [], after.balance_minor
    for row in rows:
        balance += row["amount_minor"]
        lines.append(
            StatementLine(
                row["at"],
                PostingKind(row["kind"]),
                row["order_id"],
                None if row["number"] is None else format_order_number(row["number"]),
                SignedMoney(row["amount_minor"], period.currency),
                SignedMoney(balance, period.currency),
                row["position"],
            )
        )
    return lines


def beginning_of(period: Period, opening_minor: int) -> StatementPlace:
    """The place before the first line of a period; positions begin at 1."""
    return StatementPlace((period.begins - EPOCH) // MICROSECOND, 0, opening_minor)


def place_of(line: StatementLine) -> StatementPlace:
    """Where a line stands in its statement."""
    return StatementPlace((line.at - EPOCH) // MICROSECOND, line.position, line.balance.amount)


def _balance(row: Any) -> BalanceView:
    currency, payable, in_payouts = row["currency"], row["payable_minor"], row["in_payouts_minor"]
    pending = payable - row["due_minor"] - row["held_minor"]
    parts = (payable + in_payouts, pending, row["due_minor"], in_payouts, row["held_minor"])
    return BalanceView(currency, *(SignedMoney(amount, currency) for amount in parts))
