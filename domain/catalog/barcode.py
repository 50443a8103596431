"""Barcodes of variants: GTIN-8, -12, -13 and -14 (GS1 General Specifications, section 7.9).

Invariant: the last digit proves the others. A digit that was misread or two neighbours that changed places are
noticed before they are printed on a label, all but a few pairs of neighbours that differ by five.
"""

import re
from typing import Annotated

from msgspec import Meta

_DIGITS = re.compile(r"[0-9]{8}|[0-9]{12,14}")

Barcode = Annotated[
    str, Meta(pattern="^(?:[0-9]{8}|[0-9]{12,14})$", max_length=14, description="GTIN: 8, 12, 13 or 14 digits")
]


def check_digit(digits: str) -> int:
    """The digit that follows others: from the right they count three times and once in turn, up to a multiple of 10."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return -total % 10


def is_gtin(barcode: str) -> bool:
    """Whether a text is digits of an allowed length, the last one proving the others."""
    return _DIGITS.fullmatch(barcode) is not None and int(barcode[-1]) == check_digit(barcode[:-1])
