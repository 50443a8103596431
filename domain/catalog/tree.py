"""Where a category may stand in the tree, and whether it may go.

Invariant: no category is below itself, and no path is longer than ``DEPTH_MAX``: not its own, and not that of any
category below it.
"""

from uuid import UUID

from msgspec import Struct

from domain.catalog.taxonomy import DEPTH_MAX
from domain.rejections import Code, Rejection


class CategoryUse(Struct, frozen=True):
    """What stands in the way of deleting a category: how many of each."""

    children: int
    products: int
    attributes: int


def path_below(parent_path: tuple[UUID, ...], category: UUID, levels: int) -> tuple[UUID, ...] | Rejection:
    """The path of a category below a parent; ``parent_path`` is empty for a root.

    ``levels`` counts the category's own and those below it: 1 for one without children.
    """
    if category in parent_path:
        return Rejection(409, Code.CATEGORY_CYCLE, "the new parent is the category itself or below it", "parent_id")
    depth = len(parent_path) + levels
    if depth > DEPTH_MAX:
        detail = f"a tree has at most {DEPTH_MAX} levels, and this would make {depth}"
        return Rejection(409, Code.CONFLICT, detail, "parent_id")
    return (*parent_path, category)


def check_unused(use: CategoryUse) -> Rejection | None:
    """Refuse to delete what is in use, and say by what."""
    counts = [
        (use.children, "category below it", "categories below it"),
        (use.products, "product", "products"),
        (use.attributes, "attribute", "attributes"),
    ]
    held = [counted(number, one, many) for number, one, many in counts if number]
    return Rejection(409, Code.CATEGORY_IN_USE, f"it has {', '.join(held)}") if held else None


def counted(number: int, one: str, many: str) -> str:
    """A number of things, in words a person reads."""
    return f"{number} {one if number == 1 else many}"
