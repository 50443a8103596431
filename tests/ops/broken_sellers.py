"""Ways to break what is true of sellers, their members, keys and addresses."""

from typing import Any

from tests.builders import write_account, write_member
from tests.ops.breaking import Ways, list_anew

WAYS = Ways()
breaks = WAYS.breaks


class _Plain:
    """What builders need of a connection, on one whose transaction is never committed."""

    def __init__(self, conn: Any) -> None:
        self.execute = conn.execute


@breaks("sellers_match_events")
async def a_seller_is_renamed_unsaid(conn, trade):
    await conn.execute("UPDATE sellers SET name = 'Mallory' WHERE id = $1", trade.offers[0].seller_id)


@breaks("sellers_match_events")
async def a_seller_is_suspended_unsaid(conn, trade):
    await conn.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", trade.offers[0].seller_id)
    await list_anew(conn, trade)


@breaks("sellers_match_events")
async def a_reason_appears_from_nowhere(conn, trade):
    await conn.execute("UPDATE sellers SET reason = 'spite' WHERE id = $1", trade.offers[0].seller_id)


@breaks("sellers_match_events")
async def a_seller_has_a_version_too_many(conn, _trade):
    await conn.execute("UPDATE sellers SET version = version + 1")


@breaks("sellers_match_events")
async def a_seller_appears_from_nowhere(conn, _trade):
    await conn.execute("INSERT INTO sellers (id, name, status) VALUES (gen_random_uuid(), 'Mallory', 'approved')")


@breaks("members_match_events")
async def a_member_appears_from_nowhere(conn, trade):
    await write_member(_Plain(conn), trade.offers[0].seller_id)


@breaks("api_keys_match_events")
async def a_key_appears_from_nowhere(conn, _trade):
    account = await write_account(_Plain(conn))
    await conn.execute(
        "INSERT INTO api_keys (id, account_id, name, hash, scopes, expires_at)"
        " VALUES (gen_random_uuid(), $1, 'a', sha256('a'), '{orders:read}', now())",
        account,
    )


@breaks("addresses_match_events")
async def an_address_appears_from_nowhere(conn, _trade):
    account = await write_account(_Plain(conn))
    await conn.execute(
        "INSERT INTO addresses (id, account_id, name, line1, city, country)"
        " VALUES (gen_random_uuid(), $1, 'a', 'a', 'a', 'GB')",
        account,
    )
