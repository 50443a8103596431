"""What news of payments come to: the same in any order, and to the cent what is owed, whatever else happens."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from domain import ids
from domain.inventory.model import StockKey
from domain.journal.model import Cause
from domain.orders.cancellation import OpenOrder, cancel_lines
from domain.orders.confirmation import holds_of
from domain.orders.lifecycle import CONFIRMED, PAYMENT, PaymentStep, refuse_paying
from domain.orders.model import Fulfilment, Payment
from domain.orders.price import LineAmounts, Price
from domain.payments.attempt import differs, merge
from domain.payments.ledger import LedgerAccount
from domain.payments.model import Attempt, VoidPayment
from domain.payments.news import AttemptState, Capture, News, RefundNews, RefundState
from domain.payments.postings import cancelled
from domain.payments.settlement import (
    Account,
    SettlementPlan,
    Settling,
    Shelf,
    Wanted,
    ask_back,
    end_refund,
    hear,
    is_cancelled,
    may_be_late,
)
from tests.domain.strategies import laws

AMOUNT = 1000
ORDER, SELLER, BUYER = UUID(int=1 << 80), UUID(int=2), UUID(int=3)
SHELF = StockKey(UUID(int=4), SELLER)
CAUSES = [ids.compose(1_700_000_000_000 + n, bytes(8)) for n in range(40)]

news_of_now = st.builds(
    News,
    state=st.none() | st.sampled_from(AttemptState),
    succeeded=st.booleans(),
    captured_minor=st.sampled_from([None, AMOUNT]),
    refunded_minor=st.none() | st.integers(0, AMOUNT),
)
news = news_of_now | st.builds(News, captured_minor=st.integers(1, AMOUNT))


def an_attempt(number: int = 1, capture: Capture = Capture.NOW) -> Attempt:
    return Attempt(UUID(int=100 + number), ORDER, number, "sandbox", capture, AMOUNT, "USD")


@laws(200)
@given(st.sampled_from(Capture), st.lists(news, max_size=5), st.data())
def test_an_attempt_is_the_same_after_news_in_any_order_however_often(
    capture: Capture, told: Sequence[News], data: st.DataObject
):
    def after(heard: Sequence[News]) -> tuple[AttemptState, int]:
        attempt = an_attempt(capture=capture)
        for each in heard:
            attempt = merge(attempt, each)
            assert (attempt.state is AttemptState.CAPTURED) == (attempt.captured_minor > 0)
            assert attempt.captured_minor <= AMOUNT
        return attempt.state, attempt.captured_minor

    again = data.draw(
        st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3) if told else st.just([]))])
    )
    assert after(again) == after(told)


class Life(Struct):
    """An order of one line, and what was decided about its money, in order."""

    account: Account
    there: bool
    told: list[Any] = field(default_factory=list)
    voids: set[UUID] = field(default_factory=set)
    refunded_elsewhere: dict[UUID, int] = field(default_factory=dict)
    ledger: dict[LedgerAccount, int] = field(default_factory=lambda: dict.fromkeys(LedgerAccount, 0))
    causes: int = 0

    @property
    def order(self) -> OpenOrder:
        return self.account.order

    def _keep(self, plan: SettlementPlan) -> None:
        self.told += plan.events + plan.cancelled.events
        self.voids |= {command.payment_id for command, _ in plan.follow_ups if isinstance(command, VoidPayment)}
        self.voids |= {payment for payment, _ in plan.cancelled.voids}
        for posting in plan.postings + cancelled({ORDER: self.order}, plan.cancelled):
            assert sum(amount for _, amount in posting.entries()) == 0
            for side, amount in posting.entries():
                self.ledger[side.account] += amount

    def _cause(self) -> Cause:
        self.causes += 1
        return Cause(CAUSES[self.causes], "test")

    def start(self, capture: Capture) -> None:
        order = self.order
        if refuse_paying(order.payment, list(order.fulfilments.values()), expired=order.expired) is not None:
            return
        attempt = an_attempt(len(self.account.attempts) + 1, capture)
        self.account.attempts[attempt.id] = attempt
        order.payment, order.payment_id = PAYMENT[order.payment][PaymentStep.START], attempt.id

    def cancel(self) -> None:
        order, plan = self.order, SettlementPlan()
        if is_cancelled(order) or order.expired:
            return
        cause = self._cause()
        owed = cancel_lines(order, sorted(order.price.lines), "", cause, plan.cancelled)
        if owed and (attempt := self.account.attempts[order.payment_id or UUID(int=0)]).refundable_minor:
            ask_back(self.account, attempt, min(owed, attempt.refundable_minor), plan, reason="", cause=cause)
        self._keep(plan)

    def expire(self) -> None:
        if self.order.payment not in CONFIRMED | {Payment.VOIDED} and not is_cancelled(self.order):
            self.order.expired = True
            self.account.held.clear()

    def hear(self, number: int, said: News) -> None:
        if not self.account.attempts:
            return
        attempt = list(self.account.attempts.values())[number % len(self.account.attempts)]
        if differs(attempt, said) is not None:
            return
        late = may_be_late(self.account, attempt, said)
        shelf = Shelf({ORDER: Wanted({0: (SHELF, 1)})} if late else {}, {SHELF: int(self.there)}, {})
        settling = Settling(SettlementPlan(), shelf)
        assert hear(self.account, attempt.id, said, self._cause(), settling) is None
        known = self.refunded_elsewhere.get(attempt.id, 0)
        self.refunded_elsewhere[attempt.id] = max(known, said.refunded_minor or 0)
        self._keep(settling.plan)

    def give_back(self) -> None:
        plan = SettlementPlan()
        for refund in list(self.account.refunds.values()):
            end_refund(self.account, refund, RefundNews(RefundState.SUCCEEDED), self._cause(), plan)
        self._keep(plan)


def a_life(there: bool) -> Life:
    order = OpenOrder(
        id=ORDER,
        buyer=BUYER,
        currency="USD",
        payment=Payment.UNPAID,
        expired=False,
        version=0,
        price_version=1,
        price=Price({0: LineAmounts(AMOUNT)}, {}, ()),
        sellers={0: SELLER},
        fulfilments={SELLER: Fulfilment.AWAITING},
        quantities={0: 1},
    )
    return Life(Account(order, {}, {}, set(holds_of(order))), there)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from(Capture)),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("expire")),
        st.tuples(st.just("give_back")),
        st.tuples(st.just("hear"), st.integers(0, 2), news_of_now),
        st.tuples(st.just("hear"), st.integers(0, 2), st.just(News(succeeded=True))),
    ),
    max_size=12,
)


@laws(500)
@given(st.booleans(), st.sampled_from(Capture), steps)
def test_whatever_happens_nobody_keeps_what_isnt_owed_and_nobody_pays_back_more_than_came(
    there: bool, capture: Capture, happens: Sequence[tuple[Any, ...]]
):
    life = a_life(there)
    life.start(capture)
    confirmed = False
    for name, *arguments in happens:
        getattr(life, name)(*arguments)
        for attempt in life.account.attempts.values():
            assert attempt.refunded_minor <= attempt.captured_minor
            assert attempt.asked_minor <= attempt.captured_minor
        if not confirmed and "order.confirmed" in [event.type for event in life.told]:
            confirmed = True
            current = life.account.attempts[life.order.payment_id or UUID(int=0)]
            promised = current.state is AttemptState.AUTHORIZED
            assert promised or current.refunded_minor < current.captured_minor, "for something"
    life.give_back()
    order = life.order
    alive = not order.expired and not is_cancelled(order)
    assert not (order.expired and set(order.fulfilments.values()) == {Fulfilment.CANCELLED}), "it ends in one way"
    for attempt in life.account.attempts.values():
        asked = sum(r.amount_minor for r in life.account.refunds.values() if r.payment_id == attempt.id)
        assert asked == attempt.asked_minor == attempt.refunded_minor
        if alive and order.payment_id == attempt.id:
            assert asked == life.refunded_elsewhere.get(attempt.id, 0), "what an order needs is kept"
        elif attempt.state is AttemptState.AUTHORIZED:
            assert attempt.id in life.voids
        else:
            assert asked == attempt.captured_minor, "and what none needs is not"
    current = life.account.attempts.get(order.payment_id or UUID(int=0))
    paid_for = current if order.sold and alive else None
    elsewhere = 0 if paid_for is None else paid_for.refunded_minor
    attempts = life.account.attempts.values()
    assert life.ledger[LedgerAccount.GATEWAY_CLEARING] == sum(a.captured_minor - a.refunded_minor for a in attempts)
    short = 0 if paid_for is None else AMOUNT - paid_for.captured_minor
    assert life.ledger[LedgerAccount.REFUNDS] == elsewhere + short, "a buyer is owed what doesn't pay for anything"
    assert -life.ledger[LedgerAccount.SELLER_PAYABLE] == (AMOUNT if order.sold and alive else 0)
    assert sorted(event.version for event in life.told) == list(range(1, order.version + 1))
    kinds = [event.type for event in life.told]
    assert kinds.count("order.confirmed") <= 1
    assert kinds.count("order.taken_up_again") <= kinds.count("order.confirmed")
