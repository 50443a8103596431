"""What must be true of sellers, their members, keys and addresses: checks for ``domain.invariants``, by name.

What events tell adds up to the rows. Of payout details and of addresses events tell only that they changed, so there
the versions are compared.
"""

from collections.abc import Mapping

_SELLERS_MATCH_EVENTS = """
SELECT coalesce(s.id, e.stream)::text AS key
FROM sellers s
FULL JOIN (
    SELECT stream, max(version) AS version, count(*) AS events,
           (array_agg(data ->> 'name' ORDER BY version DESC) FILTER (WHERE data ? 'name'))[1] AS name,
           (array_agg(data ->> 'description' ORDER BY version DESC) FILTER (WHERE data ? 'description'))[1]
               AS description,
           (array_agg(replace(split_part(type, '.', 2), 'reinstated', 'approved') ORDER BY version DESC) FILTER (
               WHERE type IN ('seller.applied', 'seller.approved', 'seller.rejected', 'seller.suspended',
                              'seller.reinstated')))[1] AS status,
           (array_agg(coalesce(data ->> 'reason', '') ORDER BY version DESC) FILTER (
               WHERE type NOT LIKE 'seller.member_%' AND type <> 'seller.changed'))[1] AS reason
    FROM events WHERE type LIKE 'seller.%' GROUP BY stream
) e ON e.stream = s.id
WHERE (s.version, s.version, s.name, s.description, s.status, s.reason)
      IS DISTINCT FROM (e.version, e.events, e.name, coalesce(e.description, ''), e.status, e.reason)
"""

_MEMBERS_MATCH_EVENTS = """
SELECT coalesce(m.account_id, e.account_id)::text AS key
FROM seller_members m
FULL JOIN (
    SELECT * FROM (
        SELECT DISTINCT ON (stream, account_id) *
        FROM (
            SELECT stream, version, type, (data ->> 'owner')::uuid AS account_id, 'owner' AS position
            FROM events WHERE type = 'seller.applied'
            UNION ALL
            SELECT stream, version, type, (data ->> 'account_id')::uuid, data ->> 'position'
            FROM events WHERE type LIKE 'seller.member_%'
        ) told ORDER BY stream, account_id, version DESC
    ) last WHERE type <> 'seller.member_removed'
) e ON e.stream = m.seller_id AND e.account_id = m.account_id
WHERE m.account_id IS NULL OR e.account_id IS NULL OR m.position <> e.position
"""

_API_KEYS_MATCH_EVENTS = """
SELECT coalesce(k.id, e.stream)::text AS key
FROM api_keys k
FULL JOIN (
    SELECT stream, (array_agg(data ORDER BY version))[1] AS made, count(*) AS events,
           (array_agg(data ORDER BY version DESC) FILTER (WHERE data ? 'expires_at'))[1] AS last,
           bool_or(type = 'api_key.revoked') AS revoked
    FROM events WHERE type LIKE 'api_key.%' GROUP BY stream
) e ON e.stream = k.id
WHERE (k.account_id, k.name, to_jsonb(k.scopes), k.expires_at)
      IS DISTINCT FROM ((e.made ->> 'account_id')::uuid, e.made ->> 'name', e.made -> 'scopes',
                        (e.last ->> 'expires_at')::timestamptz)
   OR (k.replaced_by, k.revoked_at IS NOT NULL) IS DISTINCT FROM ((e.last ->> 'replaced_by')::uuid, e.revoked)
   OR e.events <> 1 + (k.replaced_by IS NOT NULL)::integer + e.revoked::integer
"""

_ADDRESSES_MATCH_EVENTS = """
SELECT coalesce(a.id, e.stream)::text AS key
FROM addresses a
FULL JOIN (
    SELECT stream, max(version) AS version, bool_or(type = 'address.removed') AS removed,
           min(data ->> 'account_id') AS account_id
    FROM events WHERE type LIKE 'address.%' GROUP BY stream
) e ON e.stream = a.id
WHERE (a.id IS NULL) <> coalesce(e.removed, false)
   OR (a.id IS NOT NULL AND (a.version, a.account_id::text) IS DISTINCT FROM (e.version, e.account_id))
"""

SELLERS: Mapping[str, str] = {
    "sellers_match_events": _SELLERS_MATCH_EVENTS,
    "members_match_events": _MEMBERS_MATCH_EVENTS,
    "api_keys_match_events": _API_KEYS_MATCH_EVENTS,
    "addresses_match_events": _ADDRESSES_MATCH_EVENTS,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""
