"""Where a seller's money goes: a bank account, checked for slips of the hand, and what of it is shown.

Invariant: the details are decided on, sealed and forgotten. What is shown, written into events and logged is the
mask; the Structs themselves show no more when somebody prints them.
"""

import re
from typing import Annotated

from msgspec import Meta, Struct

from domain.rejections import Code, Rejection
from domain.text import LINE_PATTERN

Holder = Annotated[str, Meta(min_length=1, max_length=140, pattern=LINE_PATTERN)]

# Characters of an IBAN by country: the 89 of SWIFT's IBAN registry, compared with schwifty 2026.10.1, whose further
# ones are proposals. The library itself would bring pycountry (LGPL) and five megabytes of banks with it.
_REGISTRY = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _REGISTRY.split()}
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_ROUTING_WEIGHTS = (3, 7, 1) * 3
HIDDEN = "\N{BULLET}" * 4


class Iban(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="iban"
):
    """A bank account by its IBAN (ISO 13616); letter case and spaces don't matter. ``bic`` is ISO 9362."""

    holder: Holder
    iban: Annotated[str, Meta(min_length=15, max_length=42)]
    bic: Annotated[str, Meta(pattern=r"^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?(?![\s\S])", max_length=11)] | None = None

    def __repr__(self) -> str:
        """Say what is shown to everybody."""
        return f"Iban({shown(self)!r})"


class UsAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="account"):
    """A bank account in the United States: the ABA's routing number and the account's."""

    holder: Holder
    routing_number: Annotated[str, Meta(pattern=r"^[0-9]{9}", max_length=9)]
    account_number: Annotated[str, Meta(pattern=r"^[0-9]{4,17}(?![\s\S])", max_length=17)]

    def __repr__(self) -> str:
        """Say what is shown to everybody."""
        return f"UsAccount({shown(self)!r})"


Payout = Iban | UsAccount


def _plain(iban: str) -> str:
    return iban.replace(" ", "").upper()


def checked(payout: Payout) -> Payout | Rejection:
    """Bring details into their one form; refuse a number that nobody can have."""
    match payout:
        case Iban():
            fault = _fault_of_iban(_plain(payout.iban))
            if fault is not None:
                return Rejection(400, Code.INVALID_REQUEST, fault, "payout.iban")
            return Iban(holder=payout.holder, iban=_plain(payout.iban), bic=payout.bic)
        case UsAccount():
            digits = zip(payout.routing_number, _ROUTING_WEIGHTS, strict=True)
            if sum(int(digit) * weight for digit, weight in digits) % 10 or payout.routing_number == "000000000":
                detail = "this is no routing number: its digits don't match the last one"
                return Rejection(400, Code.INVALID_REQUEST, detail, "payout.routing_number")
            return payout


def _fault_of_iban(iban: str) -> str | None:
    length = IBAN_LENGTHS.get(iban[:2])
    if not _IBAN.fullmatch(iban) or length is None:
        return "an IBAN begins with a country that has IBANs and two digits, and goes on with letters and digits"
    if len(iban) != length:
        return f"an IBAN of {iban[:2]} has {length} characters"
    if int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 != 1:
        return "the IBAN's check digits don't match: look for a slip"
    return None


def shown(payout: Payout) -> str:
    """What everybody may see of details: the country, and at most the last four characters."""
    match payout:
        case Iban():
            iban = _plain(payout.iban)
            return f"{iban[:2]}{HIDDEN[:2]} {HIDDEN} {HIDDEN} {iban[-4:]}"
        case UsAccount():
            # Of a short number, four digits would be most of it.
            last = payout.account_number[-4 if len(payout.account_number) >= 8 else -2 :]
            return f"{HIDDEN} {last}"
