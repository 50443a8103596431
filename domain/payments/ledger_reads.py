"""The ledger as those who keep the books see it: accounts, and entries newest first.

Entries are listed by the time of their batch. A batch that was late to commit may turn up behind what was listed
already: good enough to look at, no way to follow the ledger (docs/ledger.md).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from domain.connection import Connection
from domain.money import Currency
from domain.payments.ledger import LedgerAccount, PostingKind

_BIGINT = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MAX = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
At = Annotated[int, Meta(ge=0, le=_MICROSECONDS_MAX)]
Position = Annotated[int, Meta(ge=0, le=_BIGINT)]
OWNED = frozenset({LedgerAccount.SELLER_PAYABLE, LedgerAccount.GATEWAY_CLEARING})
"""Accounts of which each seller, or each gateway, has one."""
OF_EACH_SALE = frozenset(
    {PostingKind.CAPTURE, PostingKind.SALE, PostingKind.TAX, PostingKind.SHIPPING, PostingKind.COMMISSION}
)
"""Kinds of which there are so many that one is never far; the others have an index."""
_ALL = [account.value for account in LedgerAccount]

_ACCOUNTS = "account, owner, currency, balance_minor FROM ledger_accounts"
_NEXT = "ORDER BY account, owner, currency LIMIT $4"
LIST_ACCOUNTS = f"SELECT {_ACCOUNTS} WHERE (account, owner, currency) > ($1, $2, $3) {_NEXT}"
LIST_ACCOUNTS_OF = f"SELECT {_ACCOUNTS} WHERE account = $5 AND (account, owner, currency) > ($1, $2, $3) {_NEXT}"
LIST_ACCOUNTS_OF_OWNER = f"""
SELECT {_ACCOUNTS} WHERE account = ANY ($5::text[]) AND owner = $6 AND (account, owner, currency) > ($1, $2, $3) {_NEXT}
"""

_COLUMNS = "cause_id, kind, entry_no, account, owner, currency, amount_minor, order_id, at, position"
_BELOW = """
(e.at, e.position) < ($1, $2) AND ($4::text IS NULL OR e.account = $4) AND ($5::text IS NULL OR e.owner = $5)
AND ($6::text IS NULL OR e.kind = $6)
"""
_OF = "AND ($8::uuid IS NULL OR e.order_id = $8)"
_NEWEST = "ORDER BY e.at DESC, e.position DESC LIMIT $3"
LIST_ENTRIES = f"SELECT {_COLUMNS} FROM ledger_entries e WHERE {_BELOW} {_NEWEST}"
LIST_ENTRIES_OF_RARE_KIND = f"""
SELECT {_COLUMNS} FROM ledger_entries e
WHERE e.kind = $7 AND e.kind NOT IN ('capture', 'sale', 'tax', 'shipping', 'commission') AND {_BELOW} {_NEWEST}
"""
LIST_ENTRIES_OF_ORDER = f"SELECT {_COLUMNS} FROM ledger_entries e WHERE e.order_id = $7 AND {_BELOW} {_NEWEST}"
LIST_ENTRIES_OF_CAUSE = f"SELECT {_COLUMNS} FROM ledger_entries e WHERE e.cause_id = $7 AND {_BELOW} {_OF} {_NEWEST}"

# The newest of each currency, of those the newest: an owner has few of either.
LIST_ENTRIES_OF_OWNER = f"""
SELECT e.* FROM ledger_accounts a
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM ledger_entries e
    WHERE e.account = a.account AND e.owner = a.owner AND e.currency = a.currency AND {_BELOW} {_NEWEST}
) e
WHERE a.account = ANY ($7::text[]) AND a.owner = $8 {_NEWEST}
"""


class SignedMoney(Struct, frozen=True):
    """An amount in minor units of a currency, that may be below zero."""

    amount: Annotated[int, Meta(ge=-_BIGINT, le=_BIGINT, description="minor units of the currency")]
    currency: Currency


class LedgerAccountView(Struct, frozen=True):
    """What the entries of an account sum to; debits are positive. ``owner`` is a seller, a gateway, or empty."""

    account: LedgerAccount
    owner: str
    balance: SignedMoney


class LedgerEntryView(Struct, frozen=True):
    """One entry of a posting, which its cause and kind name; ``order_id`` is the order it is about."""

    cause_id: UUID
    kind: PostingKind
    entry_no: int
    account: LedgerAccount
    owner: str
    amount: SignedMoney
    order_id: UUID | None
    at: datetime
    position: int


class AccountPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where an account stands among all."""

    account: Annotated[str, Meta(max_length=100)] = ""
    owner: Annotated[str, Meta(max_length=100)] = ""
    currency: Annotated[str, Meta(max_length=3)] = ""


class EntryPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where an entry stands among all; ``at`` in microseconds since 1970."""

    at: At = _MICROSECONDS_MAX
    position: Position = _BIGINT

    @property
    def time(self) -> datetime:
        """``at`` as a time."""
        return EPOCH + self.at * MICROSECOND


class EntriesAsked(Struct, frozen=True):
    """Which entries: any number of these at once."""

    account: LedgerAccount | None = None
    owner: str | None = None
    order_id: UUID | None = None
    cause_id: UUID | None = None
    kind: PostingKind | None = None


async def list_accounts(
    conn: Connection, *, account: LedgerAccount | None, owner: str | None, after: AccountPlace, limit: int
) -> list[LedgerAccountView]:
    """Read a page of accounts, by name, owner and currency."""
    place = (after.account, after.owner, after.currency, limit)
    rows: Sequence[Any]
    if owner is not None:
        accounts = _ALL if account is None else [account.value]
        rows = await conn.fetch(LIST_ACCOUNTS_OF_OWNER, *place, accounts, owner)
    elif account is not None:
        rows = await conn.fetch(LIST_ACCOUNTS_OF, *place, account.value)
    else:
        rows = await conn.fetch(LIST_ACCOUNTS, *place)
    return [LedgerAccountView(LedgerAccount(r[0]), r[1], SignedMoney(r[3], r[2])) for r in rows]


async def list_entries(
    conn: Connection, asked: EntriesAsked, *, below: EntryPlace, limit: int
) -> list[LedgerEntryView]:
    """Read a page of entries, the newest first."""
    account = None if asked.account is None else asked.account.value
    kind = None if asked.kind is None else asked.kind.value
    owner = asked.owner
    if owner is None and asked.account is not None and asked.account not in OWNED:
        owner = ""
    place = (below.time, below.position, limit, account, owner, kind)
    rows: Sequence[Any]
    if asked.cause_id is not None:
        rows = await conn.fetch(LIST_ENTRIES_OF_CAUSE, *place, asked.cause_id, asked.order_id)
    elif asked.order_id is not None:
        rows = await conn.fetch(LIST_ENTRIES_OF_ORDER, *place, asked.order_id)
    elif owner is not None:
        rows = await conn.fetch(LIST_ENTRIES_OF_OWNER, *place, _ALL if account is None else [account], owner)
    elif asked.kind is not None and asked.kind not in OF_EACH_SALE:
        rows = await conn.fetch(LIST_ENTRIES_OF_RARE_KIND, *place, kind)
    else:
        rows = await conn.fetch(LIST_ENTRIES, *place)
    return [_entry(row) for row in rows]


def place_of_account(account: LedgerAccountView) -> AccountPlace:
    """Where an account stands among others."""
    return AccountPlace(account.account.value, account.owner, account.balance.currency)


def place_of_entry(entry: LedgerEntryView) -> EntryPlace:
    """Where an entry stands among others."""
    return EntryPlace((entry.at - EPOCH) // MICROSECOND, entry.position)


def _entry(row: Any) -> LedgerEntryView:
    return LedgerEntryView(
        row["cause_id"],
        PostingKind(row["kind"]),
        row["entry_no"],
        LedgerAccount(row["account"]),
        row["owner"],
        SignedMoney(row["amount_minor"], row["currency"]),
        row["order_id"],
        row["at"],
        row["position"],
    )
