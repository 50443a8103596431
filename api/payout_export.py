"""The file of an approved payout for the bank: where each seller's money goes, opened for this alone.

Invariant: payout details stand nowhere but in the answer. They are opened in memory, none is logged, no event holds
one, and the answer is kept nowhere on its way. It is made whole before any of it is sent: half a file would pay half of
the sellers.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.params import FromPath

from api.access import allow, authorise
from api.context import Edge, edge_of
from api.openapi import PROBLEMS, also_as
from api.problems import ProblemError, refuse
from api.sellers import SEALED_FOR
from api.sheets import CSV, as_text, attachment, lines
from domain.accounts.model import Role
from domain.accounts.seller_payout import Iban, Payout, UsAccount
from domain.connection import Connection
from domain.ids import joint
from domain.money import in_major
from domain.payments.payout_reads import PayoutView, TransferRow, list_transfers, load_payout
from domain.payments.payouts import FIRST_SELLER, PayoutState
from domain.rejections import Code
from infra import postgres, telemetry
from infra.encryption import SealError

ROWS = 500
HEAD = ("reference", "seller_id", "seller", "holder", "account", "bank", "amount", "currency")
log = telemetry.logger()
_read: Any = msgspec.json.Decoder(Payout).decode


@get(
    "/payouts/{payout_id:uuid}/export",
    operation_id="export_payout",
    opt=allow(Role.ADMIN) | also_as(CSV, "a line for each seller, below a line with names"),
    summary="The file of an approved payout for the bank",
    media_type=CSV,
    responses=PROBLEMS(401, 403, 404, 409, 503),
)
async def export_payout(request: Request[Any, Any, Any], payout_id: FromPath[UUID]) -> Response[bytes]:
    """Write a line for each seller still in an approved payout, with the account their money goes to.

    `account` is an IBAN or an account number, `bank` a BIC or a routing number, `reference` names payout and seller.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    # All of it as it stands at one moment: what fails meanwhile is in it whole, or not at all.
    async with edge.pool.acquire(timeout=2) as conn, postgres.transaction(conn, postgres.BEGIN_SNAPSHOT):
        payout = await load_payout(conn, payout_id)
        if payout is None:
            raise refuse(404, Code.NOT_FOUND, "there is no such payout")
        if payout.state is not PayoutState.APPROVED:
            detail = f"the payout is {payout.state.value}; only one that is approved goes to the bank"
            raise refuse(409, Code.PAYOUT_STATE, detail)
        content = await _sheet(edge, conn, payout)
    log.info("payout_exported", payout=str(payout_id), by=str(principal.id))
    return Response(content, media_type=CSV, headers=attachment(f"payout-{payout_id}"))


async def _sheet(edge: Edge, conn: Connection, payout: PayoutView) -> bytes:
    parts, after = [lines([HEAD])], FIRST_SELLER
    while True:
        rows = await list_transfers(conn, payout.id, after=after, limit=ROWS)
        parts.append(lines([_line(edge, payout, row) for row in rows]))
        if len(rows) < ROWS:
            return b"".join(parts)
        after = rows[-1].seller_id


def _line(edge: Edge, payout: PayoutView, row: TransferRow) -> tuple[str, ...]:
    details = _opened(edge, row)
    match details:
        case Iban():
            account, bank = details.iban, details.bic or ""
        case UsAccount():
            account, bank = details.account_number, details.routing_number
    return (
        joint(payout.id, row.seller_id).hex,
        str(row.seller_id),
        as_text(row.seller),
        as_text(details.holder),
        account,
        bank,
        in_major(row.amount_minor, payout.currency),
        payout.currency,
    )


def _opened(edge: Edge, row: TransferRow) -> Iban | UsAccount:
    if row.sealed is None:
        raise _closed(row, "has no payout details any more")
    try:
        details: Iban | UsAccount = _read(edge.sealer.open(row.sealed, SEALED_FOR, row.seller_id))
    except (SealError, msgspec.MsgspecError) as error:
        # The message quotes nothing of what was sealed.
        log.error("payout_sealed_for_good", seller=str(row.seller_id), error=type(error).__name__)
        raise _closed(row, "has payout details that can't be opened") from None
    return details


def _closed(row: TransferRow, why: str) -> ProblemError:
    detail = f"the seller {row.seller_id} {why}; mark the payout failed for them, or have the details given anew"
    return refuse(409, Code.PAYOUT_STATE, detail)


router = Router(path="/", route_handlers=[export_payout], tags=["money"])
