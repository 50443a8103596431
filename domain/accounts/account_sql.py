"""Statements of accounts: write and change them, and take back what tokens in hand are good for.

Invariant: whatever takes rights away raises the account's epoch and notes the revocation in the same transaction, so a
token made before it is refused everywhere within a second of the commit.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.accounts.email import email_key
from domain.accounts.model import Account, AccountStatus, NewAccount, Role, language_of
from domain.connection import Connection, Row

EVERY_EPOCH = 2_147_483_647
"""The epoch of a revocation that nothing survives: of a session or an API key, which never come back."""

_COLUMNS = """
a.id, a.email, a.name, a.password_hash, a.status, a.verified_at, a.epoch, a.version, a.language,
CASE WHEN EXISTS (
    SELECT FROM seller_members m JOIN sellers s ON s.id = m.seller_id
    WHERE m.account_id = a.id AND s.status = 'approved'
) THEN array_append(a.roles, 'SELLER') ELSE a.roles END AS roles
"""

LOAD_BY_ID = f"SELECT {_COLUMNS} FROM accounts a WHERE a.id = ANY ($1::uuid[])"

LOAD_BY_EMAIL = f"SELECT {_COLUMNS} FROM accounts a WHERE a.email_key = ANY ($1::text[])"

LOCK = """
SELECT count(*) FROM (
    SELECT FROM accounts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

# All who could still administer: two admins can't take each other's role away at once. With the account itself in one
# statement, because whoever locks several does it in the order of their ids.
LOCK_WITH_ADMINS = """
SELECT count(*) FROM (
    SELECT FROM accounts WHERE id = $1 OR (roles @> '{ADMIN}' AND status = 'active') ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

COUNT_ADMINS = "SELECT count(*) FROM accounts WHERE roles @> '{ADMIN}' AND status = 'active' AND id <> $1"

INSERT = """
INSERT INTO accounts (id, email, email_key, name, password_hash, roles, verified_at)
SELECT id, email, email_key, name, password_hash, roles::text[], CASE WHEN verified THEN now() END
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[])
    AS t (id, email, email_key, name, password_hash, roles, verified)
ON CONFLICT (email_key) DO NOTHING
RETURNING id
"""

REVOKE_ACCOUNTS = """
WITH raised AS (
    UPDATE accounts SET epoch = epoch + 1 WHERE id = ANY ($1::uuid[]) RETURNING id, epoch
)
INSERT INTO revocations (subject, epoch)
SELECT id, epoch FROM raised
ON CONFLICT (subject) DO UPDATE SET epoch = excluded.epoch, at = now(), xid = pg_current_xact_id()
"""

REVOKE_SUBJECTS = """
INSERT INTO revocations (subject, epoch)
SELECT subject, $2 FROM unnest($1::uuid[]) AS t (subject)
ON CONFLICT (subject) DO UPDATE SET epoch = excluded.epoch, at = now(), xid = pg_current_xact_id()
"""

SET_STATUS = "UPDATE accounts SET status = $2, version = version + 1 WHERE id = $1 RETURNING version"
SET_ROLES = "UPDATE accounts SET roles = $2, version = version + 1 WHERE id = $1 RETURNING version"
SET_GROUP = "UPDATE accounts SET buyer_group = $2, version = version + 1 WHERE id = $1 RETURNING version"
SET_PROFILE = "UPDATE accounts SET name = $2, language = $3, version = version + 1 WHERE id = $1 RETURNING version"
SET_VERIFIED = """
UPDATE accounts SET verified_at = coalesce(verified_at, now()), version = version + 1 WHERE id = $1 RETURNING version
"""
SET_HASH = """
UPDATE accounts SET password_hash = $2, version = version + 1,
       verified_at = CASE WHEN $3 THEN coalesce(verified_at, now()) ELSE verified_at END
WHERE id = $1 RETURNING version
"""
# The same password under today's parameters: nothing that anybody could see, so no version.
REHASH = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2"


def _account(row: Row) -> Account:
    return Account(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        password_hash=row["password_hash"],
        roles=frozenset(Role(role) for role in row["roles"]),
        status=AccountStatus(row["status"]),
        verified_at=row["verified_at"],
        epoch=row["epoch"],
        version=row["version"],
        language=language_of(row["language"]),
    )


async def load_accounts(conn: Connection, account_ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Read accounts by id; unknown ones are missing."""
    return {row["id"]: _account(row) for row in await conn.fetch(LOAD_BY_ID, list(account_ids))}


async def load_by_email(conn: Connection, addresses: Sequence[str]) -> dict[str, Account]:
    """Read accounts by e-mail address, however it is written; the keys are ``email_key`` of the addresses."""
    found = await conn.fetch(LOAD_BY_EMAIL, list({email_key(address) for address in addresses}))
    return {email_key(row["email"]): _account(row) for row in found}


async def lock_accounts(conn: Connection, account_ids: Sequence[UUID]) -> int:
    """Lock accounts by id and return how many there are; read them in the next statement.

    An account's row stands for its keys and addresses, too: whoever adds one waits here, so that a limit is exact.
    """
    locked: int = await conn.fetchval(LOCK, list(account_ids))
    return locked


async def insert_accounts(conn: Connection, accounts: Sequence[NewAccount]) -> set[UUID]:
    """Write accounts; return the ids of those whose e-mail address wasn't taken."""
    rows = await conn.fetch(
        INSERT,
        [a.id for a in accounts],
        [a.email for a in accounts],
        [email_key(a.email) for a in accounts],
        [a.name for a in accounts],
        [a.password_hash for a in accounts],
        ["{" + ",".join(sorted(a.roles)) + "}" for a in accounts],
        [a.verified for a in accounts],
    )
    return {row["id"] for row in rows}


async def revoke_accounts(conn: Connection, account_ids: Sequence[UUID]) -> None:
    """Make every access token of some accounts worthless within a second; their refresh tokens stay good."""
    await conn.execute(REVOKE_ACCOUNTS, list(account_ids))


async def revoke_subjects(conn: Connection, subjects: Sequence[UUID]) -> None:
    """Make what came from some sessions or API keys worthless within a second, for good."""
    await conn.execute(REVOKE_SUBJECTS, list(subjects), EVERY_EPOCH)
