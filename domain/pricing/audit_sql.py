"""What must be true of promotions at every moment: checks for ``domain.invariants``, by name.

A promotion's events tell what its row says, and each of its versions is kept. Counters say what unreturned redemptions
add up to, one by one, and never more than they may.
"""

from collections.abc import Mapping

from domain.pricing.uses import ALL_USERS, FIRST_ORDER

_PROMOTIONS_MATCH_EVENTS = """
SELECT coalesce(p.id, e.stream)::text AS key
FROM promotions p
FULL JOIN (
    SELECT stream, max(version) AS version, count(*) AS events,
           (array_agg(data -> 'content' ORDER BY version DESC) FILTER (WHERE data ? 'content'))[1] AS content,
           coalesce((array_agg(type ORDER BY version DESC) FILTER (
               WHERE type IN ('promotion.activated', 'promotion.paused', 'promotion.ended')))[1], 'promotion.draft')
               AS last_step
    FROM events WHERE type LIKE 'promotion.%' GROUP BY stream
) e ON e.stream = p.id
LEFT JOIN (
    SELECT promotion_id, count(*) AS kept, max(version) AS last,
           (array_agg(content ORDER BY version DESC))[1] AS content
    FROM promotion_versions GROUP BY promotion_id
) v ON v.promotion_id = p.id
WHERE p.id IS NULL OR e.stream IS NULL OR v.promotion_id IS NULL
   OR (p.version, p.version, p.version, p.version) IS DISTINCT FROM (e.version, e.events, v.kept, v.last)
   OR p.content IS DISTINCT FROM e.content OR p.content IS DISTINCT FROM v.content
   OR (p.starts_at, p.ends_at) IS DISTINCT FROM
      ((p.content ->> 'starts_at')::timestamptz, (p.content ->> 'ends_at')::timestamptz)
   OR e.last_step <> CASE p.state WHEN 'active' THEN 'promotion.activated' ELSE 'promotion.' || p.state END
"""

_CODES_MATCH_EVENTS = """
SELECT coalesce(c.promotion_id, b.promotion_id, e.stream)::text AS key
FROM (SELECT promotion_id, count(*) AS made FROM promotion_codes GROUP BY promotion_id) c
FULL JOIN (SELECT promotion_id, sum(made) AS made FROM code_batches WHERE made > 0 GROUP BY promotion_id) b
  ON b.promotion_id = c.promotion_id
FULL JOIN (
    SELECT stream, sum((data ->> 'made')::bigint) AS made
    FROM events WHERE type = 'promotion.codes_made' GROUP BY stream
) e ON e.stream = coalesce(c.promotion_id, b.promotion_id)
WHERE (c.made, c.made) IS DISTINCT FROM (b.made, e.made)
"""

# What a promotion counts stands in its content, and is settled when it is first activated.
_USES_MATCH_REDEMPTIONS = f"""
SELECT concat_ws('/', coalesce(u.promotion_id, r.promotion_id), coalesce(u.user_id, r.user_id)) AS key
FROM promotion_uses u
FULL JOIN (
    SELECT k.promotion_id, k.user_id, count(*) AS used
    FROM redemptions d
    JOIN promotions p ON p.id = d.promotion_id
    CROSS JOIN LATERAL (
        SELECT p.id AS promotion_id, '{ALL_USERS}'::uuid AS user_id WHERE p.content ? 'uses_max'
        UNION ALL SELECT p.id, d.buyer WHERE p.content ? 'uses_per_user_max'
        UNION ALL SELECT '{FIRST_ORDER}'::uuid, d.buyer WHERE p.content ? 'first_order'
    ) k
    WHERE d.returned_at IS NULL GROUP BY k.promotion_id, k.user_id
) r ON r.promotion_id = u.promotion_id AND r.user_id = u.user_id
LEFT JOIN promotions p ON p.id = u.promotion_id
WHERE coalesce(u.used, 0) <> coalesce(r.used, 0)
   OR u.used > u.most
   OR u.most IS DISTINCT FROM CASE
        WHEN u.promotion_id = '{FIRST_ORDER}' THEN 1
        WHEN u.user_id = '{ALL_USERS}' THEN (p.content ->> 'uses_max')::int
        ELSE (p.content ->> 'uses_per_user_max')::int END
"""

PROMOTIONS: Mapping[str, str] = {
    "promotions_match_events": _PROMOTIONS_MATCH_EVENTS,
    "codes_match_events": _CODES_MATCH_EVENTS,
    "uses_match_redemptions": _USES_MATCH_REDEMPTIONS,
}
