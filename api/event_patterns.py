"""Which events somebody listens to: types there are, all of a kind, or all."""

from collections.abc import Sequence

from api.problems import refuse
from domain.event_types import EVENT_TYPES
from domain.rejections import Code

_KINDS = frozenset(f"{kind.partition('.')[0]}.*" for kind in EVENT_TYPES)


def check_patterns(patterns: Sequence[str], path: str) -> None:
    """Refuse a type that nothing is of: who listens to it would wait for ever. Raises a problem of status 400."""
    for place, pattern in enumerate(patterns):
        if pattern not in EVENT_TYPES and pattern not in _KINDS and pattern != "*":
            raise refuse(400, Code.INVALID_REQUEST, f"there are no events of type {pattern}", f"{path}[{place}]")
