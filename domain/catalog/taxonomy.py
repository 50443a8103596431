"""Categories and attributes: what clients send, what stands, what events tell, what is shown."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.catalog.schema import CHOICE_LENGTH_MAX, CHOICES_MAX, CODE_LENGTH_MAX, AttributeKind
from domain.catalog.slugs import Slug

DEPTH_MAX = 10
"""How many levels the tree has; a root is on the first."""

NAME_LENGTH_MAX = 200
POSITION_MAX = 1_000_000

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S")]
Position = Annotated[int, Meta(ge=0, le=POSITION_MAX, description="siblings are shown by position, then by name")]
# The look-ahead refuses a final line break, which Python's $ lets pass.
AttributeCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$(?!\n)", max_length=CODE_LENGTH_MAX)]
Choice = Annotated[str, Meta(min_length=1, max_length=CHOICE_LENGTH_MAX, pattern=r"\S")]

# --- What clients send --------------------------------------------------------------------------------------------


class NewCategory(Struct, frozen=True, forbid_unknown_fields=True):
    """A category to make: below a parent, or a root. Without a slug it gets one made from its name."""

    name: Name
    parent_id: UUID | None = None
    slug: Slug | None = None
    position: Position = 0


class CategoryEdit(Struct, frozen=True, forbid_unknown_fields=True):
    """What a category is called from now on. Without a slug it keeps the one it has, so links stay good."""

    name: Name
    slug: Slug | None = None


class CategoryMove(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a category goes, with all below it; ``parent_id`` null makes it a root. Without a position it keeps its."""

    parent_id: UUID | None
    position: Position | None = None


class AssignmentEdit(Struct, frozen=True, forbid_unknown_fields=True):
    """How a category asks for an attribute. ``required`` null: as a category above says, else the attribute itself."""

    required: bool | None = None
    position: Position = 0


class AttributeEdit(Struct, frozen=True, forbid_unknown_fields=True):
    """An attribute, whole. ``choices`` belong to kinds that choose; ``variant_making`` to ``choice``."""

    code: AttributeCode
    name: Name
    kind: AttributeKind
    unit: Annotated[str, Meta(min_length=1, max_length=20, pattern=r"\S")] | None = None
    required: bool = False
    choices: Annotated[tuple[Choice, ...], Meta(max_length=CHOICES_MAX)] = ()
    variant_making: bool = False


# --- What stands --------------------------------------------------------------------------------------------------


class Category(Struct, frozen=True):
    """A category as it stands; ``path`` holds the ids from the root to itself."""

    id: UUID
    parent_id: UUID | None
    name: str
    slug: str
    path: tuple[UUID, ...]
    position: int
    version: int


class StoredAttribute(Struct, frozen=True):
    """An attribute as it stands."""

    id: UUID
    version: int
    content: AttributeEdit


class Assigned(Struct, frozen=True):
    """That a category itself asks for an attribute. ``version`` is the category's, once it does."""

    category_id: UUID
    attribute_id: UUID
    required: bool | None
    position: int
    version: int


# --- What events tell ---------------------------------------------------------------------------------------------


class CategoryCreated(Struct, frozen=True):
    """``category.created``."""

    name: str
    slug: str
    parent_id: UUID | None
    position: int


class CategoryChanged(Struct, frozen=True):
    """``category.changed``."""

    name: str
    slug: str


class CategoryMoved(Struct, frozen=True):
    """``category.moved``; what is below moves along and tells nothing of its own."""

    parent_id: UUID | None
    position: int


class CategoryDeleted(Struct, frozen=True):
    """``category.deleted``."""

    name: str
    slug: str


class AttributeAssigned(Struct, frozen=True):
    """``category.attribute_assigned``: for the first time, or in another way."""

    attribute_id: UUID
    required: bool | None
    position: int


class AttributeUnassigned(Struct, frozen=True):
    """``category.attribute_unassigned``."""

    attribute_id: UUID


class AttributeDeleted(Struct, frozen=True):
    """``attribute.deleted``."""

    code: str


# --- What is shown ------------------------------------------------------------------------------------------------


class Crumb(Struct, frozen=True):
    """A step on the way from a root to a category."""

    id: UUID
    name: str
    slug: str


class CategorySummary(Struct, frozen=True):
    """A category with its way from the root, itself last; ``depth`` is the length of that, ``children`` a count."""

    id: UUID
    parent_id: UUID | None
    name: str
    slug: str
    path: list[Crumb]
    depth: int
    position: int
    children: int
    version: int
    created_at: datetime


class AssignmentView(Struct, frozen=True):
    """An attribute the category itself asks for; ``required`` null leaves that to others."""

    attribute_id: UUID
    code: str
    required: bool | None
    position: int


class CategoryView(CategorySummary, frozen=True):
    """A category with the attributes it asks for by itself."""

    attributes: list[AssignmentView]


class AttributeView(Struct, frozen=True):
    """An attribute, and how many categories ask for it by themselves."""

    id: UUID
    code: str
    name: str
    kind: AttributeKind
    unit: str | None
    required: bool
    choices: tuple[str, ...]
    variant_making: bool
    categories: int
    version: int
    created_at: datetime
