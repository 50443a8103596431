"""Slugs: what names a thing in a link, made from its title.

Invariant: a slug is lower-case ASCII letters and digits, in words joined by single dashes, and never empty. Other
scripts are transliterated character by character, which is good enough for a link and keeps it readable.
"""

import re
from typing import Annotated
from uuid import UUID

from anyascii import anyascii
from msgspec import Meta

LENGTH_MAX = 100
# The look-ahead refuses a final line break, which Python's $ lets pass.
PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)"
Slug = Annotated[str, Meta(pattern=PATTERN, min_length=1, max_length=LENGTH_MAX)]

UNTITLED = "untitled"
_NUMBERED_MAX = 9
_ID_DIGITS = 12
_APOSTROPHES = re.compile("['`]")
_BETWEEN_WORDS = re.compile("[^a-z0-9]+")


def slug_of(title: str) -> str:
    """Make a slug of a title; of one without a letter or digit, ``untitled``."""
    ascii_only = _APOSTROPHES.sub("", anyascii(title)).lower()
    return _cut(_BETWEEN_WORDS.sub("-", ascii_only).strip("-"), LENGTH_MAX) or UNTITLED


def slugs_of(title: str, thing: UUID) -> tuple[str, ...]:
    """Make the slugs to try in turn: the title's, then numbered ones, then one with the thing's own id in it."""
    first = slug_of(title)
    suffixes = [*(str(number) for number in range(2, _NUMBERED_MAX + 1)), _tail(thing)]
    return (first, *(f"{_cut(first, LENGTH_MAX - len(suffix) - 1)}-{suffix}" for suffix in suffixes))


def _tail(thing: UUID) -> str:
    """The random part of an id of ours: the low 12 bits are free for children, what is before tells the time."""
    return f"{thing.int >> 12:x}"[-_ID_DIGITS:]


def _cut(slug: str, length_max: int) -> str:
    return slug[:length_max].strip("-")
