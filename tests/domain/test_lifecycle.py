"""The order's status follows from payment, fulfilment and expiry: every combination."""

import re
from itertools import combinations_with_replacement, product

import pytest

from domain.orders.lifecycle import (
    UNDER_WAY,
    FulfilmentStep,
    PaymentStep,
    next_fulfilment,
    next_payment,
    order_status,
    refuse_cancelling,
    refuse_paying,
)
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


def _refusal(payment, mix, *, expired=False, as_buyer=True, whole=True):
    touched = [f for f in mix if f is not Fulfilment.CANCELLED]
    return refuse_cancelling(payment, mix, touched, expired=expired, as_buyer=as_buyer, whole=whole)


@pytest.mark.parametrize("payment", Payment)
def test_a_buyer_cancels_while_no_seller_order_has_left_awaiting(payment):
    for mix in MIXES:
        for expired, whole in product((False, True), repeat=2):
            allowed = (
                payment is not Payment.VOIDED
                and not expired
                and set(mix) <= {Fulfilment.AWAITING, Fulfilment.CANCELLED}
                and Fulfilment.AWAITING in mix
                and (whole or payment not in UNDER_WAY)
            )
            assert (_refusal(payment, mix, expired=expired, whole=whole) is None) is allowed, (payment, mix, expired)


@pytest.mark.parametrize("payment", Payment)
def test_others_cancel_what_has_not_shipped(payment):
    for mix in MIXES:
        ended = order_status(payment, mix, expired=False) in {OrderStatus.CANCELLED, OrderStatus.COMPLETED}
        shipped = set(mix) - {Fulfilment.AWAITING, Fulfilment.PROCESSING, Fulfilment.CANCELLED}
        unshipped = not ended and not shipped and set(mix) != {Fulfilment.CANCELLED}
        assert (_refusal(payment, mix, as_buyer=False) is None) is unshipped, (payment, mix)


@pytest.mark.parametrize("payment", Payment)
def test_a_refused_cancellation_is_a_409_that_names_the_state(payment):
    for mix in MIXES:
        for expired, whole in product((False, True), repeat=2):
            refusal = _refusal(payment, mix, expired=expired, whole=whole)
            if refusal is None:
                continue
            status = order_status(payment, mix, expired=expired)
            states = {status.value, payment.value, *(f.value for f in mix)}
            assert (refusal.status, refusal.code) == (409, Code.ORDER_STATE)
            assert any(f" is {state};" in refusal.detail for state in states), refusal.detail


# The axes as rules.md has them, edge by edge.
PAYMENT_EDGES = """
unpaid -started-> pending, unpaid -waived-> paid
pending -started-> pending, pending -left_to_the_buyer-> action_required, pending -failed-> failed
pending -authorized-> authorized, pending -captured-> paid
action_required -started-> pending, action_required -failed-> failed
action_required -authorized-> authorized, action_required -captured-> paid
failed -started-> pending, failed -waived-> paid, failed -authorized-> authorized, failed -captured-> paid
authorized -captured-> paid, authorized -voided-> voided, authorized -waived-> paid
paid -refunded_in_part-> partially_refunded, paid -refunded-> refunded
partially_refunded -refunded_in_part-> partially_refunded, partially_refunded -refunded-> refunded
voided -captured-> paid
refunded -captured-> partially_refunded
"""
FULFILMENT_EDGES = """
awaiting -accepted-> processing, awaiting -cancelled-> cancelled
processing -shipped_in_part-> partly_shipped, processing -shipped-> shipped, processing -cancelled-> cancelled
partly_shipped -shipped_in_part-> partly_shipped, partly_shipped -shipped-> shipped, partly_shipped -cut_short-> shipped
shipped -delivered-> delivered
delivered -returned-> returned
"""


def _edges(text):
    found = re.findall(r"(\w+) -(\w+)-> (\w+)", text)
    return {(state, step): following for state, step, following in found}


@pytest.mark.parametrize(
    ("text", "states", "steps", "follow"),
    [
        (PAYMENT_EDGES, Payment, PaymentStep, next_payment),
        (FULFILMENT_EDGES, Fulfilment, FulfilmentStep, next_fulfilment),
    ],
    ids=["payment", "fulfilment"],
)
def test_each_state_lists_what_may_be_done_from_it_and_all_else_is_a_409_that_says_so(text, states, steps, follow):
    edges = _edges(text)
    for state, step in product(states, steps):
        followed = follow(state, step)
        if (state.value, step.value) in edges:
            assert followed == edges[state.value, step.value]
        else:
            assert (followed.status, followed.code) == (409, Code.ORDER_STATE)
            allowed = [s.value.replace("_", " ") for s in steps if (state.value, s.value) in edges]
            assert f" is {state.value.replace('_', ' ')} " in followed.detail
            assert all(step in followed.detail for step in allowed)
            assert allowed or "nothing follows" in followed.detail


@pytest.mark.parametrize("payment", Payment)
def test_an_order_is_paid_while_it_waits_for_that(payment):
    for mix in MIXES:
        for expired in (False, True):
            waits = order_status(payment, mix, expired=expired) is OrderStatus.PENDING_PAYMENT
            assert (refuse_paying(payment, mix, expired=expired) is None) is waits
