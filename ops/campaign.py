"""What the sale's marketplace has agreed on before it opens: commission, a promotion for everybody, a code.

All of it through the HTTP API, as an administrator does it.
"""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Role
from domain.money import Money
from domain.pricing.commission_model import CommissionContent
from domain.pricing.promotion_model import AmountOff, Level, PercentOff, PromotionContent, Stacking
from domain.pricing.scope import Scope
from infra.clock import new_id
from infra.security import Tokens
from ops.load import Client
from ops.sale import CODE, CURRENCY, Sale, Size
from ops.shopper import ShopError

COMMISSION_BP = 1_200
FAVOURED_BP = 800
THRESHOLD_MINOR = 20_000
OFF_MINOR = 1_000
CODE_OFF_BP = 1_500
TOKEN_SECONDS = 600

_encode = msgspec.json.Encoder().encode


class _Made(Struct):
    id: UUID


async def launch(client: Client, tokens: Tokens, sale: Sale, size: Size) -> UUID:
    """Set the rules up; return the id of the promotion that the code brings. Raises ShopError."""
    admin = tokens.sign(new_id(), frozenset({Role.ADMIN}), TOKEN_SECONDS)

    async def post(path: str, body: Any, **headers: str) -> bytes:
        answer = await client.request("POST", path, token=admin, body=_encode(body), **headers)
        if answer.status not in {200, 201}:
            raise ShopError(f"POST {path} was answered with {answer.status}: {answer.body.decode(errors='replace')}")
        return answer.body

    async def promote(content: PromotionContent) -> UUID:
        made = msgspec.json.decode(await post("/promotions", content), type=_Made).id
        await post(f"/promotions/{made}/activate", None)
        return made

    await post("/pricing/commission-rules", CommissionContent(title="Everybody", rate_bp=COMMISSION_BP))
    favoured = Scope(sellers=(sale.sellers[0].id,))
    await post(
        "/pricing/commission-rules", CommissionContent(title="The first seller", scope=favoured, rate_bp=FAVOURED_BP)
    )
    await promote(
        PromotionContent(
            title="Ten off from two hundred",
            benefit=AmountOff(Level.ORDER, Money(OFF_MINOR, CURRENCY)),
            minimum_subtotal=Money(THRESHOLD_MINOR, CURRENCY),
            automatic=True,
            stacking=Stacking.STACKABLE,
        )
    )
    coded = await promote(
        PromotionContent(
            title="For the quickest",
            benefit=PercentOff(Level.ORDER, CODE_OFF_BP),
            stacking=Stacking.STACKABLE,
            uses_max=size.code_uses_max,
        )
    )
    await post(f"/promotions/{coded}/codes", {"codes": [CODE]}, Prefer="wait=20")
    return coded
