"""Identifiers: UUIDv7 (RFC 9562) whose lowest 12 bits are free for children.

Invariant: the id of a child is derived from the id of the command that made it, so a command that
runs twice makes the same rows, and a unique key, not a convention, refuses the second ones. An id
made by :func:`compose` has zeros where :func:`child` puts kind and number; the 62 remaining random
bits are still far beyond collision within one millisecond.
"""

import hashlib
from enum import IntEnum
from uuid import UUID

ENTROPY_BYTES = 8
CHILDREN_MAX = 1024
"""How many children of one kind a command can have (numbers 0 to 1,023)."""

ORDER_NUMBER_DIGITS = 12
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TYPED = str.maketrans("OIL", "011", "- ")


class Kind(IntEnum):
    """What a derived id stands for. The numbers are stored inside ids: never renumber.

    They have two bits, and 0 is the command itself: there is room for no more.
    """

    SELLER_ORDER = 1
    RESERVATION = 2
    MOVEMENT = 3


def compose(unix_ms: int, entropy: bytes) -> UUID:
    """Build a UUIDv7 from milliseconds since 1970 and 8 random bytes (62 bits of them are used)."""
    random = int.from_bytes(entropy, "big")
    low = (random >> 14) & ((1 << 50) - 1)
    return UUID(int=(unix_ms & ((1 << 48) - 1)) << 80 | 7 << 76 | (random & 0xFFF) << 64 | 2 << 62 | low << 12)


def child(parent: UUID, kind: Kind, number: int) -> UUID:
    """Derive the id of a command's ``number``-th child of a kind; raises ValueError past 1,023."""
    if not 0 <= number < CHILDREN_MAX:
        raise ValueError(f"a command has at most {CHILDREN_MAX} children of one kind, not {number + 1}")
    return UUID(int=parent.int | kind << 10 | number)


def parent(derived: UUID) -> UUID:
    """Return the id of the command a derived id belongs to."""
    return UUID(int=derived.int & ~0xFFF)


def child_number(derived: UUID) -> int:
    """Return the number of a child among its siblings of one kind."""
    return derived.int & (CHILDREN_MAX - 1)


def unix_ms(identifier: UUID) -> int:
    """Milliseconds since 1970 at which an id was made."""
    return identifier.int >> 80


def offer_stream(variant_id: UUID, seller_id: UUID) -> UUID:
    """Name the event stream of the offer (variant, seller); the same bytes as PostgreSQL's md5()::uuid."""
    return UUID(hashlib.md5(variant_id.bytes + seller_id.bytes, usedforsecurity=False).hexdigest())


def stock_stream(variant_id: UUID, seller_id: UUID, location: int) -> UUID:
    """Name the event stream of the stock of an offer at a location; the same bytes as PostgreSQL's md5()::uuid."""
    key = variant_id.bytes + seller_id.bytes + location.to_bytes(2)
    return UUID(hashlib.md5(key, usedforsecurity=False).hexdigest())


def named(name: str) -> UUID:
    """Derive an id from a name that is unique; the same bytes as PostgreSQL's md5()::uuid."""
    return UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())


def document_stream(seller_id: UUID, kind: str) -> UUID:
    """Name the event stream of a seller's documents of a kind; the same bytes as PostgreSQL's md5()::uuid."""
    return UUID(hashlib.md5(seller_id.bytes + kind.encode(), usedforsecurity=False).hexdigest())


def numbered(parent: UUID, number: int) -> UUID:
    """Derive the id of the ``number``-th row of a command that may write more rows than it can have children."""
    digest = hashlib.blake2b(parent.bytes + number.to_bytes(4), digest_size=ENTROPY_BYTES).digest()
    return compose(unix_ms(parent), digest)


def joint(parent: UUID, other: UUID) -> UUID:
    """Derive the id of what a command does about another thing, such as a payout about a seller."""
    digest = hashlib.blake2b(parent.bytes + other.bytes, digest_size=ENTROPY_BYTES).digest()
    return compose(unix_ms(parent), digest)


def order_number(order_id: UUID) -> int:
    """Derive the 60-bit number of an order that a person can read out.

    Hashing hides the time and the neighbours of an order. Should two orders ever share a number, the unique key
    refuses the second one, which is parked alone.
    """
    digest = hashlib.blake2b(order_id.bytes, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 4


def format_order_number(number: int) -> str:
    """Write an order number in Crockford's base 32, in three groups of four: ``7Z0K-93QM-1T8C``."""
    digits = "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(5 * (ORDER_NUMBER_DIGITS - 1), -1, -5))
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:]}"


def parse_order_number(text: str) -> int | None:
    """Read an order number as a person types it; None when it is none.

    As Crockford says, case and hyphens don't matter, and O is read as 0, I and L as 1. Spaces don't matter either.
    """
    digits = text.upper().translate(_TYPED)
    if not text.isascii() or len(digits) != ORDER_NUMBER_DIGITS or not set(digits) <= set(_CROCKFORD):
        return None
    number = 0
    for digit in digits:
        number = number << 5 | _CROCKFORD.index(digit)
    return number
