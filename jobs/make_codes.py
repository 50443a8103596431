"""Make codes of promotions: those a client lists, or as many as it asks for that nobody can guess.

A hundred thousand codes are one command and one statement. Where another code has the same letters by accident, as many
more are made up as are missing. Commands run one after the other: two of one batch may be about one promotion.
"""

import secrets
from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Claimed, Rejected, Succeeded
from domain.pricing.code_sql import add_codes, claim_codes, load_batches, note_batch
from domain.pricing.codes import MadeCodes, MakeCodes, NewCodes, code_key, fault_of_codes, spell
from domain.pricing.promotion_edit import CodesMade
from domain.pricing.promotion_model import PromotionState, StoredPromotion
from domain.pricing.promotion_sql import Change, change_promotions, lock_promotions
from domain.rejections import Code, Rejection


@batch(MakeCodes, commands_max=20)
async def make_codes(batch: Batch[MakeCodes]) -> Sequence[BatchOutcome]:
    """Make a batch of codes; outcomes in the order of the commands."""
    promotions = await lock_promotions(batch.conn, sorted({c.command.promotion_id for c in batch.commands}))
    done = await load_batches(batch.conn, [claimed.id for claimed in batch.commands])
    outcomes: list[BatchOutcome] = []
    for claimed in batch.commands:
        promotion_id = claimed.command.promotion_id
        before = done.get(claimed.id)
        made = await _make(batch, claimed, promotions) if before is None else before
        result = Rejected(made) if isinstance(made, Rejection) else Succeeded(MadeCodes(promotion_id, made))
        outcomes.append(result)
    return outcomes


async def _make(
    batch: Batch[MakeCodes], claimed: Claimed[MakeCodes], promotions: dict[UUID, StoredPromotion]
) -> int | Rejection:
    """Make the codes of one command, note it, and tell."""
    new, promotion = claimed.command.new, promotions.get(claimed.command.promotion_id)
    if promotion is None:
        return Rejection(404, Code.NOT_FOUND, "there is no such promotion")
    refusal = fault_of_codes(new) or _refuse(promotion)
    if refusal is not None:
        return refusal
    made = await _write(batch.conn, promotion.id, new)
    if isinstance(made, Rejection):
        return made
    await note_batch(batch.conn, claimed.id, promotion.id, made, batch.now)
    if made:
        after = msgspec.structs.replace(promotion, version=promotion.version + 1)
        change = Change(promotion, after, "promotion.codes_made", msgspec.json.encode(CodesMade(made)))
        await change_promotions(
            batch.conn, [change], batch.now, actor=claimed.principal, correlation=claimed.correlation
        )
        promotions[promotion.id] = after
    return made


def _refuse(promotion: StoredPromotion) -> Rejection | None:
    if promotion.state is PromotionState.ENDED:
        return Rejection(409, Code.PROMOTION_STATE, "the promotion is ended: no code brings it any more")
    if promotion.content.automatic:
        return Rejection(409, Code.CONFLICT, "the promotion is automatic: it needs no code")
    return None


async def _write(conn: Connection, promotion_id: UUID, new: NewCodes) -> int | Rejection:
    if new.codes is None:
        return await _make_up(conn, promotion_id, new)
    made, others = await claim_codes(conn, promotion_id, new.codes)
    if not others:
        return made
    index = next(n for n, text in enumerate(new.codes) if code_key(text) in others)
    detail = f"{new.codes[index]} belongs to another promotion; no code was made"
    return Rejection(409, Code.DUPLICATE_CODE, detail, f"codes[{index}]")


async def _make_up(conn: Connection, promotion_id: UUID, new: NewCodes) -> int:
    made = 0
    while made < new.number:
        random = secrets.token_bytes((new.number - made) * new.length)
        made += await add_codes(conn, promotion_id, spell(random, new.length, new.prefix))
    return made
