"""What must be true of the journal by itself: checks for ``domain.invariants``, by name."""

from collections.abc import Mapping

_IN = "id >= $1 AND id < $2"

# Commands' ids grow with time as orders' do, so slices of orders are slices of them.
_ONE_PLACE_PER_COMMAND = f"""
SELECT coalesce(c.id, p.id)::text AS key
FROM (SELECT id FROM commands WHERE {_IN}) c
FULL JOIN (
    SELECT id, count(*) AS places
    FROM (
        SELECT id FROM pending WHERE {_IN}
        UNION ALL SELECT id FROM outcomes WHERE {_IN} UNION ALL SELECT id FROM parked WHERE {_IN}
    ) u GROUP BY id
) p ON p.id = c.id
WHERE c.id IS NULL OR p.places IS DISTINCT FROM 1
"""

FIRST_COMMAND = "coalesce((SELECT id FROM commands ORDER BY id LIMIT 1), 'ffffffff-ffff-ffff-ffff-ffffffffffff')"

# A key is the primary key of its row, so it has one command, or an answer; that command must be its own, and there.
_KEYS_HAVE_ONE_COMMAND = f"""
SELECT concat_ws('/', k.principal, encode(k.key_hash, 'hex')) AS key
FROM (
    SELECT *, count(*) OVER (PARTITION BY command_id) AS keys FROM idempotency WHERE command_id IS NOT NULL
) k
LEFT JOIN commands c ON c.id = k.command_id
WHERE k.keys > 1 OR c.principal <> k.principal OR (c.id IS NULL AND k.command_id >= {FIRST_COMMAND})
"""

JOURNAL: Mapping[str, str] = {
    "one_place_per_command": _ONE_PLACE_PER_COMMAND,
    "keys_have_one_command": _KEYS_HAVE_ONE_COMMAND,
}
