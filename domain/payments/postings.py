"""What the money of orders comes to in the ledger.

Invariant: pure. What a buyer paid stands in *refunds* until the order is sold, and again once it is given back; so what
that account holds of an order is what its buyer is owed. Sellers get what their lines and shipping cost, and pay tax
and commission of it; what the platform gave off, it makes good.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.money import split
from domain.orders.cancellation import CancellationPlan, OpenOrder
from domain.orders.crediting import NOTHING, LineCredit, Parts, ShippingCredit, whole_line, whole_shipping
from domain.payments.ledger import LedgerAccount, Posting, PostingKind, Side, Transfer, clearing, payable, posting
from domain.payments.model import Attempt, Chargeback, Refund
from domain.pricing.snapshot import Snapshot

REFUNDS = Side(LedgerAccount.REFUNDS)
TAX = Side(LedgerAccount.TAX)
SHIPPING = Side(LedgerAccount.SHIPPING)
PROMOTION_COST = Side(LedgerAccount.PROMOTION_COST)
COMMISSION = Side(LedgerAccount.COMMISSION_REVENUE)
CHARGEBACKS = Side(LedgerAccount.CHARGEBACKS)


def captured(attempt: Attempt, before_minor: int, cause_id: UUID) -> list[Posting]:
    """Money has come for an attempt that had brought ``before_minor``; the cause of the first of it is the attempt."""
    amount = attempt.captured_minor - before_minor
    cause = cause_id if before_minor else attempt.id
    moved = Transfer(clearing(attempt.gateway), REFUNDS, amount)
    return posting(PostingKind.CAPTURE, cause, attempt.order_id, attempt.currency, [moved])


def refund_paid(refund: Refund, gateway: str) -> list[Posting]:
    """A gateway has given something back."""
    cause = ids.numbered(refund.payment_id, refund.refund_no)
    moved = Transfer(REFUNDS, clearing(gateway), refund.amount_minor)
    return posting(PostingKind.REFUND_PAID, cause, refund.order_id, refund.currency, [moved])


def sold(order: OpenOrder) -> list[Posting]:
    """An order is paid for, or costs nothing: what each seller gets of it and pays for it, but for commission."""
    sale: list[Transfer] = []
    shipping: list[Transfer] = []
    tax: list[Transfer] = []
    promotions: list[Transfer] = []
    for seller_no, seller_id in enumerate(order.fulfilments):
        seller = payable(seller_id, seller_no)
        goods = [whole_line(a) for n, a in sorted(order.price.lines.items()) if order.sellers[n] == seller_id]
        sent = [whole_shipping(order.price.shipping[seller_no])] if seller_no in order.price.shipping else []
        carriage = sum(parts.charged_minor for parts in sent)
        sale.append(Transfer(REFUNDS, seller, sum(parts.charged_minor for parts in goods)))
        sale.append(Transfer(REFUNDS, SHIPPING, carriage))
        shipping.append(Transfer(SHIPPING, seller, carriage))
        tax.append(Transfer(seller, TAX, sum(parts.tax_minor for parts in goods + sent)))
        made_good = sum(parts.platform_discount_minor for parts in goods + sent)
        promotions.append(Transfer(PROMOTION_COST, seller, made_good))
    return [
        made
        for kind, transfers in (
            (PostingKind.SALE, sale),
            (PostingKind.SHIPPING, shipping),
            (PostingKind.TAX, tax),
            (PostingKind.PROMOTION_COST, promotions),
        )
        for made in posting(kind, order.id, order.id, order.currency, transfers)
    ]


def credited(
    order: OpenOrder, cause_id: UUID, lines: Iterable[LineCredit], shipping: Iterable[ShippingCredit]
) -> list[Posting]:
    """Some of a sold order is given back: what its sellers got of that goes to the buyer, tax and discounts return."""
    numbers = order.seller_nos
    parts = [(order.sellers[each.line_no], each.parts) for each in lines]
    sellers = list(order.fulfilments)
    parts += [(sellers[each.seller_no], each.parts) for each in shipping]
    transfers = [moved for seller, given in parts for moved in _given_back(payable(seller, numbers[seller]), given)]
    return posting(PostingKind.REFUND, cause_id, order.id, order.currency, transfers)


def cancelled(orders: Mapping[UUID, OpenOrder], plan: CancellationPlan) -> list[Posting]:
    """What lines and shipping that a plan gives back come to, cause by cause."""
    lines: dict[tuple[UUID, UUID], list[LineCredit]] = {}
    shipping: dict[tuple[UUID, UUID], list[ShippingCredit]] = {}
    for line in plan.credits:
        lines.setdefault((line.order_id, line.cause_id), []).append(line)
    for sent in plan.shipping_credits:
        shipping.setdefault((sent.order_id, sent.cause_id), []).append(sent)
    return [
        made
        for order_id, cause_id in dict.fromkeys([*lines, *shipping])
        for made in credited(
            orders[order_id],
            cause_id,
            lines.get((order_id, cause_id), ()),
            shipping.get((order_id, cause_id), ()),
        )
    ]


def _given_back(seller: Side, parts: Parts) -> list[Transfer]:
    return [
        Transfer(seller, REFUNDS, parts.charged_minor),
        Transfer(TAX, seller, parts.tax_minor),
        Transfer(seller, PROMOTION_COST, parts.platform_discount_minor),
    ]


def commission(order: OpenOrder, snapshots: Sequence[Snapshot]) -> list[Posting]:
    """The commission of a confirmed order's lines."""
    amounts = {each.line_no: each.amount_minor for each in snapshots}
    return posting(
        PostingKind.COMMISSION, order.id, order.id, order.currency, _of_lines(order, amounts, to_platform=True)
    )


def commission_reversed(order: OpenOrder, cause_id: UUID, amounts: Mapping[int, int]) -> list[Posting]:
    """Commission that lines get back, in minor units by line number."""
    transfers = _of_lines(order, amounts, to_platform=False)
    return posting(PostingKind.COMMISSION_REVERSAL, cause_id, order.id, order.currency, transfers)


def _of_lines(order: OpenOrder, amounts: Mapping[int, int], *, to_platform: bool) -> list[Transfer]:
    sums = dict.fromkeys(order.fulfilments, 0)
    for line_no, amount in amounts.items():
        sums[order.sellers[line_no]] += amount
    transfers: list[Transfer] = []
    for seller_no, (seller_id, amount) in enumerate(sums.items()):
        seller = payable(seller_id, seller_no)
        pair = (seller, COMMISSION) if to_platform else (COMMISSION, seller)
        transfers.append(Transfer(*pair, amount))
    return transfers


def chargeback_id(chargeback: Chargeback) -> UUID:
    """What a chargeback's postings name as their cause."""
    return ids.named(f"chargeback/{chargeback.gateway}/{chargeback.reference}")


def fee_id(cause_id: UUID) -> UUID:
    """What the posting names as its cause of a fee that is heard of after its chargeback."""
    return ids.named(f"chargeback_fee/{cause_id}")


def charged_back(order: OpenOrder, chargeback: Chargeback, unsold_minor: int) -> list[Posting]:
    """A bank has taken money back: who bears it.

    Of an order that was never sold, and of a payment that doesn't count, it is the buyer's own money, ``unsold_minor``
    at most. Sellers bear it in proportion to what the buyer paid for what each still has to answer for; where nothing
    is left of that, the platform does.
    """
    gateway = clearing(chargeback.gateway)
    transfers: list[Transfer] = []
    amount, fee = chargeback.amount_minor, chargeback.fee_minor
    if not order.sold or chargeback.payment_id != order.payment_id:
        own = min(amount, unsold_minor)
        transfers += [Transfer(REFUNDS, gateway, own), Transfer(CHARGEBACKS, gateway, amount - own + fee)]
    else:
        weights = [paid_to(order, seller_id) for seller_id in order.fulfilments]
        if chargeback.liable == "seller" and any(weights):
            shares = split(amount + fee, weights)
            for (seller_id, seller_no), share in zip(order.seller_nos.items(), shares, strict=True):
                transfers.append(Transfer(payable(seller_id, seller_no), gateway, share))
        else:
            transfers.append(Transfer(CHARGEBACKS, gateway, amount + fee))
    cause = chargeback_id(chargeback)
    return posting(PostingKind.CHARGEBACK, cause, order.id, chargeback.currency, transfers)


def paid_to(order: OpenOrder, seller_id: UUID) -> int:
    """What the buyer paid for a seller's lines and shipping and hasn't been given back, in minor units."""
    lines = [
        whole_line(amounts).charged_minor - order.credited.get(n, NOTHING).parts.charged_minor
        for n, amounts in order.price.lines.items()
        if order.sellers[n] == seller_id
    ]
    seller_no = order.seller_nos[seller_id]
    sent = order.price.shipping.get(seller_no)
    return sum(lines) + (0 if sent is None or seller_no in order.shipping_credited else sent.charged_minor)


def fee_charged(order: OpenOrder, chargeback: Chargeback, booked: Sequence[tuple[str, str, int]]) -> list[Posting]:
    """A gateway charges for a chargeback after it was booked: who bears the one bears the other."""
    sides = [(side, amount) for side, amount in _bearers(order, booked) if side.account is not LedgerAccount.REFUNDS]
    sides = sides or [(CHARGEBACKS, 1)]
    gateway = clearing(chargeback.gateway)
    shares = split(chargeback.fee_minor, [amount for _, amount in sides])
    transfers = [Transfer(side, gateway, share) for (side, _), share in zip(sides, shares, strict=True)]
    cause = fee_id(chargeback_id(chargeback))
    return posting(PostingKind.CHARGEBACK, cause, order.id, chargeback.currency, transfers)


def charged_back_in_vain(
    order: OpenOrder, chargeback: Chargeback, booked: Sequence[tuple[str, str, int]]
) -> list[Posting]:
    """A chargeback was won: what it took goes back to where it was taken from.

    ``booked`` is what the ledger has of it: (account, owner, amount).
    """
    gateway = clearing(chargeback.gateway)
    transfers = [Transfer(gateway, side, amount) for side, amount in _bearers(order, booked)]
    cause = chargeback_id(chargeback)
    return posting(PostingKind.CHARGEBACK_WON, cause, order.id, chargeback.currency, transfers)


class Lost(Struct, frozen=True):
    """What the ledger has of an order whose chargebacks have ended, in minor units: what its buyer is owed, who still
    bears chargebacks, and who got some of that back because a bank had paid the buyer: (account, owner, amount) each.
    """

    owed_minor: int
    bearers: Sequence[tuple[str, str, int]]
    repaid: Sequence[tuple[str, str, int]]


def paid_by_banks(order: OpenOrder, under_way_minor: int, lost: Lost) -> list[Posting]:
    """What the buyer of an order is owed and nobody gives back has been paid by the bank: who bore that gets it back.

    ``under_way_minor`` is being given back. Should a bank change its mind, so does this.
    """
    in_vain = lost.owed_minor - under_way_minor
    sides = _bearers(order, lost.bearers if in_vain > 0 else lost.repaid)
    amounts = [amount for _, amount in sides]
    moved = min(abs(in_vain), sum(amounts))
    transfers = [
        Transfer(REFUNDS, side, share) if in_vain > 0 else Transfer(side, REFUNDS, share)
        for (side, _), share in zip(sides, split(moved, amounts) if moved else (), strict=False)
    ]
    cause = ids.named(f"chargeback_lost/{order.id}/{order.version}")
    return posting(PostingKind.CHARGEBACK_LOST, cause, order.id, order.currency, transfers)


def _bearers(order: OpenOrder, booked: Sequence[tuple[str, str, int]]) -> list[tuple[Side, int]]:
    """Who bears a chargeback, and how much of it each."""
    found: list[tuple[Side, int]] = []
    for account, owner, amount in booked:
        if amount > 0:
            known = LedgerAccount(account)
            seller = known is LedgerAccount.SELLER_PAYABLE
            side = payable(UUID(owner), order.seller_nos[UUID(owner)]) if seller else Side(known, owner)
            found.append((side, amount))
    return found
