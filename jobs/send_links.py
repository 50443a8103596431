"""Send one-time links to those who have an account: look them up, decide, write the tokens, have the mails sent."""

from collections.abc import Sequence

from domain.accounts import links
from domain.accounts.account_sql import load_by_email
from domain.accounts.links import SendLink
from domain.accounts.session_sql import count_unused, insert_one_time_tokens
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded


@batch(SendLink)
async def send_links(batch: Batch[SendLink]) -> Sequence[BatchOutcome]:
    """Answer a batch; every request succeeds alike, whether an account was found or not."""
    conn = batch.conn
    accounts = await load_by_email(conn, [claimed.command.email for claimed in batch.commands])
    unused = await count_unused(conn, [account.id for account in accounts.values()])
    plan = links.decide(batch.commands, accounts, unused, batch.limits)
    await insert_one_time_tokens(conn, plan.tokens)
    for claimed, mail in plan.mails:
        batch.follow_up(mail, claimed.correlation)
    return [Succeeded()] * len(batch.commands)
