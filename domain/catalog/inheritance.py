"""Which attributes a category has: those assigned to it and to the categories above it.

Invariant: an attribute stands in a schema once. Of several assignments along the path the nearest gives the position,
and the nearest that says whether it is required decides that; where none does, the attribute itself.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.schema import Attribute, Schema


class Assignment(Struct, frozen=True):
    """That a category asks for an attribute. ``required`` overrides the attribute's own, None leaves it.

    ``attribute`` is as the attribute itself says; ``depth`` is the category's, 1 for a root.
    """

    category_id: UUID
    depth: int
    required: bool | None
    position: int
    attribute: Attribute


def effective(category_id: UUID, assignments: Sequence[Assignment]) -> Schema:
    """Merge the assignments of a category and of those above it; ordered by position, then by code."""
    found: dict[UUID, tuple[int, Attribute]] = {}
    for assignment in sorted(assignments, key=lambda assignment: assignment.depth):
        own = assignment.attribute
        before = found.get(own.id)
        required = own.required if before is None else before[1].required
        merged = msgspec.structs.replace(
            own,
            required=required if assignment.required is None else assignment.required,
            inherited_from=None if assignment.category_id == category_id else assignment.category_id,
        )
        found[own.id] = (assignment.position, merged)
    ordered = sorted(found.values(), key=lambda entry: (entry[0], entry[1].code))
    return Schema(category_id, tuple(attribute for _, attribute in ordered))
