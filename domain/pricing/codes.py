"""Codes that bring promotions: how they are written, compared and made.

Invariant: a code belongs to one promotion for good, whatever the case of its letters. Codes that are made up can't be
guessed: there are so many more of their length than are made that trying finds none.
"""

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.journal.model import Command, Lane
from domain.rejections import Code, Rejection

CODE_LENGTH_MAX = 50
LISTED_MAX = 10_000
MADE_MAX = 100_000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing that is easily taken for something else, and no words by accident."""
GUESSES_BITS = 30
"""A guess at a code is right once in this many powers of two, or less often."""
_BITS_PER_CHARACTER = 5
_SPELLING = bytes(ALPHABET.encode()[byte % len(ALPHABET)] for byte in range(256))

CodeText = Annotated[str, Meta(min_length=1, max_length=CODE_LENGTH_MAX, pattern=r"^[0-9A-Za-z_-]+(?![\s\S])")]
Prefix = Annotated[str, Meta(max_length=20, pattern=r"^[0-9A-Za-z_-]*(?![\s\S])")]
Length = Annotated[int, Meta(ge=1, le=30, description="characters besides the prefix")]


class NewCodes(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Codes to make: those that are listed, or ``count`` that nobody can guess."""

    codes: Annotated[tuple[CodeText, ...], Meta(min_length=1, max_length=LISTED_MAX)] | None = None
    count: Annotated[int, Meta(ge=1, le=MADE_MAX)] | None = None
    prefix: Prefix = ""
    length: Length = 10

    @property
    def number(self) -> int:
        """How many there are to be."""
        return self.count or len(self.codes or ())


class MakeCodes(Command, frozen=True):
    """Make codes of a promotion: all of them or none, and once however often it runs."""

    job: ClassVar[str] = "make_codes"
    lane: ClassVar[Lane] = Lane.PRICING

    promotion_id: UUID
    new: NewCodes

    def weight(self) -> int:
        """Rows it writes."""
        return self.new.number

    def aggregate(self) -> UUID:
        """The promotion."""
        return self.promotion_id


class MadeCodes(Struct, frozen=True):
    """The result of making codes: how many there are now that there weren't before."""

    promotion_id: UUID
    made: int


def code_key(text: str) -> str:
    """As codes are compared: letter case doesn't count."""
    return text.upper()


def spell(random: bytes, length: int, prefix: str) -> list[str]:
    """Spell random bytes as codes, ``length`` bytes each: 32 letters divide 256, so each is as likely as the others."""
    letters = random.translate(_SPELLING).decode()
    return [prefix + letters[start : start + length] for start in range(0, len(letters), length)]


def fault_of_codes(new: NewCodes) -> Rejection | None:
    """What is wrong with a wish for codes beyond its form."""
    if (new.codes is None) == (new.count is None):
        return _fault("list codes, or say how many to make up", "codes")
    if new.codes is not None:
        return _fault("codes that are listed have no prefix", "prefix") if new.prefix else None
    needed = (new.number - 1).bit_length() + GUESSES_BITS
    if new.length * _BITS_PER_CHARACTER < needed:
        least = -(-needed // _BITS_PER_CHARACTER)
        return _fault(f"so many codes could be guessed: they have at least {least} characters", "length")
    return None


def _fault(detail: str, path: str) -> Rejection:
    return Rejection(400, Code.INVALID_REQUEST, detail, path)
