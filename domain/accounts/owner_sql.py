"""Lock the account that things belong to, before counting them.

An account's row stands for its keys and addresses: whoever adds one waits here, so that a limit is exact.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.connection import Connection

LOCK_ACCOUNTS = "SELECT id FROM accounts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"


async def lock_accounts(conn: Connection, account_ids: Sequence[UUID]) -> set[UUID]:
    """Lock accounts in the order of their ids; return those there are. Read them in the next statement."""
    return {row["id"] for row in await conn.fetch(LOCK_ACCOUNTS, list(account_ids))}
