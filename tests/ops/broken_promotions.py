"""Ways to break what is true of promotions, their codes and their uses."""

from uuid import UUID

from domain.pricing.uses import ALL_USERS, FIRST_ORDER
from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)


@breaks("promotions_match_events")
async def a_promotion_takes_off_more_unsaid(conn, trade):
    more = "jsonb_set(content, '{benefit,off_bp}', '9000')"
    await conn.execute(f"UPDATE promotions SET content = {more} WHERE id = $1", trade.promotion)


@breaks("promotions_match_events")
async def a_promotion_is_paused_unsaid(conn, trade):
    await conn.execute("UPDATE promotions SET state = 'paused' WHERE id = $1", trade.promotion)


@breaks("promotions_match_events")
async def a_promotion_has_a_version_too_many(conn, trade):
    await conn.execute("UPDATE promotions SET version = version + 1 WHERE id = $1", trade.promotion)


@breaks("promotions_match_events")
async def a_promotion_ends_by_a_time_it_does_not_say(conn, trade):
    await conn.execute("UPDATE promotions SET ends_at = now() WHERE id = $1", trade.promotion)


@breaks("promotions_match_events")
async def a_promotion_appears_from_nowhere(conn, trade):
    await conn.execute(
        "INSERT INTO promotions (id, content, created_at, updated_at) SELECT $1, content, now(), now()"
        " FROM promotions WHERE id = $2",
        *(NOBODY, trade.promotion),
    )


@breaks("promotions_match_events")
async def a_version_is_kept_as_something_else(conn, trade):
    await conn.execute("ALTER TABLE promotion_versions DISABLE TRIGGER promotion_versions_frozen")
    last = "version = (SELECT max(version) FROM promotion_versions WHERE promotion_id = $1)"
    await conn.execute(
        f"UPDATE promotion_versions SET content = '{{}}' WHERE promotion_id = $1 AND {last}", trade.promotion
    )


@breaks("codes_match_events")
async def a_code_appears(conn, trade):
    await conn.execute(
        "INSERT INTO promotion_codes (key, text, promotion_id) VALUES ('OTHER', 'Other', $1)", trade.promotion
    )


@breaks("codes_match_events")
async def a_code_moves_to_another_promotion(conn, trade):
    await conn.execute("UPDATE promotion_codes SET promotion_id = $1 WHERE key = 'DRAFTS'", trade.promotion)


@breaks("uses_match_redemptions")
async def a_use_is_counted_that_nobody_had(conn, trade):
    await conn.execute(
        "UPDATE promotion_uses SET used = used + 1 WHERE promotion_id = $1 AND user_id = $2",
        *(trade.promotion, ALL_USERS),
    )


@breaks("uses_match_redemptions")
async def a_users_use_is_not_counted(conn, trade):
    await conn.execute(
        "DELETE FROM promotion_uses WHERE promotion_id = $1 AND user_id <> $2", trade.promotion, ALL_USERS
    )


@breaks("uses_match_redemptions")
async def a_first_order_is_not_counted(conn, _trade):
    await conn.execute("UPDATE promotion_uses SET used = 0 WHERE promotion_id = $1", FIRST_ORDER)


@breaks("uses_match_redemptions")
async def more_uses_are_allowed_than_the_promotion_says(conn, trade):
    await conn.execute(
        "UPDATE promotion_uses SET most = most + 1 WHERE promotion_id = $1 AND user_id = $2",
        *(trade.promotion, ALL_USERS),
    )


@breaks("redemptions_match_orders")
async def a_cancelled_order_keeps_its_use(conn, trade):
    await conn.execute("UPDATE redemptions SET returned_at = NULL WHERE order_id = $1", trade.unpromoted)
    await conn.execute(
        "UPDATE promotion_uses u SET used = used + 1 FROM redemptions r WHERE r.order_id = $1"
        " AND u.promotion_id IN (r.promotion_id, $2) AND u.user_id IN (r.buyer, $3)",
        *(trade.unpromoted, FIRST_ORDER, ALL_USERS),
    )


@breaks("redemptions_match_orders")
async def a_use_of_no_order(conn, trade):
    await conn.execute(
        "INSERT INTO redemptions (order_id, promotion_id, version, buyer, currency, amount_minor, returned_at)"
        " SELECT $1, promotion_id, version, buyer, currency, amount_minor, now() FROM redemptions WHERE order_id = $2",
        *(NOBODY, trade.promoted),
    )


@breaks("redemptions_match_orders")
async def a_use_of_a_version_there_never_was(conn, trade):
    await conn.execute("UPDATE redemptions SET version = 99 WHERE order_id = $1", trade.promoted)
