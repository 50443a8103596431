"""The order's status follows from payment, fulfilment and expiry: every combination."""

from itertools import combinations_with_replacement

import pytest

from domain.orders.lifecycle import order_status, refuse_cancelling
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.rejections import Code

# One seller order, not expired. P: pending_payment, C: confirmed, D: completed, X: cancelled.
TABLE = """
                    awaiting processing partly_shipped shipped delivered cancelled returned
unpaid              P        P          P              P       D         X         D
pending             P        P          P              P       D         X         D
action_required     P        P          P              P       D         X         D
failed              P        P          P              P       D         X         D
authorized          C        C          C              C       D         X         D
paid                C        C          C              C       D         X         D
partially_refunded  C        C          C              C       D         X         D
refunded            C        C          C              C       D         X         D
voided              X        X          X              X       X         X         X
"""
LETTERS = {
    "P": OrderStatus.PENDING_PAYMENT,
    "C": OrderStatus.CONFIRMED,
    "D": OrderStatus.COMPLETED,
    "X": OrderStatus.CANCELLED,
}
ENDED = {Fulfilment.DELIVERED, Fulfilment.RETURNED, Fulfilment.CANCELLED}
PAID = {Payment.AUTHORIZED, Payment.PAID, Payment.PARTIALLY_REFUNDED, Payment.REFUNDED}
MIXES = [mix for size in (1, 2, 3) for mix in combinations_with_replacement(Fulfilment, size)]


def _rows():
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    for payment, *letters in rows:
        for fulfilment, letter in zip(head, letters, strict=True):
            yield Payment(payment), Fulfilment(fulfilment), LETTERS[letter]


def test_the_status_of_one_seller_order_is_the_tables():
    seen = set()
    for payment, fulfilment, status in _rows():
        assert order_status(payment, [fulfilment], expired=False) is status, (payment, fulfilment)
        seen.add((payment, fulfilment))
    assert seen == {(payment, fulfilment) for payment in Payment for fulfilment in Fulfilment}


@pytest.mark.parametrize("payment", Payment)
def test_an_expired_order_is_expired_whatever_else_it_is(payment):
    assert all(order_status(payment, mix, expired=True) is OrderStatus.EXPIRED for mix in MIXES)


@pytest.mark.parametrize("payment", Payment)
def test_the_status_of_several_seller_orders(payment):
    for mix in MIXES:
        status = order_status(payment, mix, expired=False)
        if payment is Payment.VOIDED or set(mix) == {Fulfilment.CANCELLED}:
            expected = OrderStatus.CANCELLED
        elif set(mix) <= ENDED:
            expected = OrderStatus.COMPLETED
        else:
            expected = OrderStatus.CONFIRMED if payment in PAID else OrderStatus.PENDING_PAYMENT
        assert status is expected, (payment, mix)


@pytest.mark.parametrize("payment", Payment)
def test_the_order_of_seller_orders_does_not_matter(payment):
    for mix in MIXES:
        for expired in (False, True):
            forward = order_status(payment, mix, expired=expired)
            assert forward is order_status(payment, mix[::-1], expired=expired)


def test_placing_is_a_status_of_the_edge_alone():
    reached = {order_status(p, mix, expired=e) for p in Payment for mix in MIXES for e in (False, True)}
    assert reached == set(OrderStatus) - {OrderStatus.PLACING}


@pytest.mark.parametrize("payment", Payment)
def test_an_order_is_cancelled_only_while_unpaid_and_untouched(payment):
    for mix in MIXES:
        for expired in (False, True):
            refusal = refuse_cancelling(payment, mix, expired=expired)
            allowed = (
                payment is Payment.UNPAID
                and not expired
                and set(mix) <= {Fulfilment.AWAITING, Fulfilment.CANCELLED}
                and Fulfilment.AWAITING in mix
            )
            assert (refusal is None) is allowed, (payment, mix, expired)


@pytest.mark.parametrize("payment", Payment)
def test_a_refused_cancellation_is_a_409_that_names_the_state(payment):
    for mix in MIXES:
        for expired in (False, True):
            refusal = refuse_cancelling(payment, mix, expired=expired)
            if refusal is None:
                continue
            status = order_status(payment, mix, expired=expired)
            states = {status.value, payment.value, *(f.value for f in mix)}
            assert (refusal.status, refusal.code) == (409, Code.ORDER_STATE)
            assert any(f" is {state};" in refusal.detail for state in states), refusal.detail
