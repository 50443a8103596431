"""The ledger: accounts and entries, for admins."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.access import allow, authorise
from api.openapi import PROBLEMS
from api.paging import Limit, LongCursor, Page, paged
from domain.accounts.model import Role, Scope
from domain.payments.ledger import LedgerAccount, PostingKind
from domain.payments.ledger_reads import (
    AccountPlace,
    EntriesAsked,
    EntryPlace,
    LedgerAccountView,
    LedgerEntryView,
    list_accounts,
    list_entries,
    place_of_account,
    place_of_entry,
)

READ = allow(Role.ADMIN, scope=Scope.MONEY_READ)
OfAccount = Annotated[LedgerAccount | None, QueryParameter(name="account")]
OfOwner = Annotated[str | None, QueryParameter(name="owner", max_length=100, description="a seller's id, or a gateway")]


class LedgerAccountPage(Page[LedgerAccountView], frozen=True):
    """A page of accounts, by name, owner and currency."""


class LedgerEntryPage(Page[LedgerEntryView], frozen=True):
    """A page of entries, newest first."""


@get(
    "/ledger/accounts",
    operation_id="list_ledger_accounts",
    opt=READ,
    summary="List the accounts of the ledger",
    responses={200: ResponseSpec(LedgerAccountPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_ledger_accounts(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: LongCursor = None,
    account: OfAccount = None,
    owner: OfOwner = None,
) -> Response[bytes]:
    """Show what each account's entries sum to: debits are positive, credits negative."""
    await authorise(request)

    async def read(conn: Any, after: AccountPlace | None, count: int) -> list[LedgerAccountView]:
        return await list_accounts(conn, account=account, owner=owner, after=after or AccountPlace(), limit=count)

    return await paged(request, LedgerAccountPage, limit, cursor, kind=AccountPlace, read=read, key_of=place_of_account)


@get(
    "/ledger/entries",
    operation_id="list_ledger_entries",
    opt=READ,
    summary="List entries of the ledger, newest first",
    responses={200: ResponseSpec(LedgerEntryPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_ledger_entries(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: LongCursor = None,
    account: OfAccount = None,
    owner: OfOwner = None,
    order: Annotated[UUID | None, QueryParameter(name="order_id")] = None,
    cause: Annotated[UUID | None, QueryParameter(name="cause_id")] = None,
    kind: Annotated[PostingKind | None, QueryParameter(name="kind")] = None,
) -> Response[bytes]:
    """Show entries as they were booked. A batch that was late to commit may turn up behind what was listed already."""
    await authorise(request)
    asked = EntriesAsked(account, owner, order, cause, kind)

    async def read(conn: Any, below: EntryPlace | None, count: int) -> list[LedgerEntryView]:
        return await list_entries(conn, asked, below=below or EntryPlace(), limit=count)

    return await paged(request, LedgerEntryPage, limit, cursor, kind=EntryPlace, read=read, key_of=place_of_entry)


router = Router(path="/", route_handlers=[list_ledger_accounts, list_ledger_entries], tags=["money"])
