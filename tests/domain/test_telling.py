"""Which events are told to whom: decided from the events and the listeners alone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain.journal.events import EventCursor, StoredEvent
from domain.journal.model import SYSTEM
from domain.notifications.gathering import notifications_of
from domain.notifications.model import NEEDED, Audience, Gathering, NotificationKind
from domain.notifications.telling import TELLS, Listeners, OrderPast, Told, tell

ORDER, BUYER, ANN, BOB, EVE = (UUID(int=n) for n in range(1, 6))
LEFT, RIGHT = UUID(int=11), UUID(int=12)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
APART = timedelta(minutes=15)


def event(kind: str, version: int = 5, *, actor: UUID = SYSTEM, **data: object) -> StoredEvent:
    encoded = msgspec.json.encode(data).decode()
    return StoredEvent(ORDER, version, kind, encoded, actor, "c", NOW, EventCursor(1, version))


def listeners(past: OrderPast | None = None, **off: frozenset[str]) -> Listeners:
    past = past or OrderPast({0: LEFT, 1: RIGHT})
    members = {LEFT: [ANN, BOB], RIGHT: [EVE]}
    switched_off = {{"ann": ANN, "buyer": BUYER}[name]: kinds for name, kinds in off.items()}
    return Listeners({ORDER: BUYER}, {ORDER: past}, {ORDER: LEFT}, members, [], switched_off)


def heard(told: list[Told]) -> set[tuple[UUID, NotificationKind]]:
    return {(each.recipient, each.kind) for each in told}


def test_every_kind_of_mail_is_told_of_some_event():
    assert {kind for each in TELLS.values() for _, kind in each} == set(NotificationKind)


def test_no_event_is_told_an_audience_twice():
    for each in TELLS.values():
        audiences = [audience for audience, _ in each]
        assert len(audiences) == len(set(audiences))


def test_an_event_that_does_not_stand_in_the_table_is_told_nobody():
    assert tell([event("order.accepted", seller_id=str(LEFT))], listeners()) == []


def test_a_confirmed_order_is_told_its_buyer_and_all_members_of_its_sellers():
    told = tell([event("order.confirmed", total_minor=1)], listeners())
    new = NotificationKind.NEW_ORDER
    assert heard(told) == {(BUYER, NotificationKind.ORDER_CONFIRMED), (ANN, new), (BOB, new), (EVE, new)}


def test_a_seller_whose_lines_were_all_cancelled_before_is_not_told():
    past = OrderPast({0: LEFT, 1: RIGHT}, confirmed=5, cancelled=[(3, frozenset({1}))])
    told = tell([event("order.confirmed", total_minor=1)], listeners(past))
    assert EVE not in {each.recipient for each in told}


@pytest.mark.parametrize(("confirmed", "expected"), [(None, set()), (4, {ANN, BOB}), (9, set())])
def test_a_seller_is_told_of_a_cancellation_only_after_a_confirmation(confirmed: int | None, expected: set[UUID]):
    past = OrderPast({0: LEFT, 1: RIGHT}, confirmed=confirmed)
    told = tell([event("order.lines_cancelled", lines=[0])], listeners(past))
    assert {each.recipient for each in told if each.audience is Audience.SELLER} == expected


def test_members_are_not_told_what_they_did_and_buyers_are():
    past = OrderPast({0: LEFT}, confirmed=1)
    told = tell([event("order.cancelled", actor=ANN, lines=[0])], listeners(past))
    assert {each.recipient for each in told} == {BUYER, BOB}
    own = tell([event("order.cancelled", actor=BUYER, lines=[0])], listeners(past))
    assert BUYER in {each.recipient for each in own}, "it is the confirmation"


def test_what_is_switched_off_is_not_told_unless_it_is_needed():
    off = frozenset(kind.value for kind in NotificationKind)
    told = tell([event("order.confirmed", total_minor=1)], listeners(buyer=off, ann=off))
    assert heard(told) == {
        (BUYER, NotificationKind.ORDER_CONFIRMED),
        (BOB, NotificationKind.NEW_ORDER),
        (EVE, NotificationKind.NEW_ORDER),
    }
    assert NotificationKind.ORDER_CONFIRMED in NEEDED


def low(recipient: UUID = ANN, version: int = 1) -> Told:
    return Told(event("stock.low", version), Audience.SELLER, NotificationKind.LOW_STOCK, recipient, LEFT)


def test_the_first_mail_of_low_stock_is_due_at_once_and_takes_the_others_of_its_batch():
    ids = [UUID(int=n) for n in (101, 102, 103)]
    made = notifications_of([low(), low(version=2), low(BOB)], ids, {}, now=NOW, apart=APART)
    assert [(each.due_at, each.told_in) for each in made] == [(NOW, None), (NOW, ids[0]), (NOW, None)]


def test_the_next_mail_of_low_stock_keeps_its_distance_from_the_last():
    last = Gathering(UUID(int=99), NOW - timedelta(minutes=5), open=False)
    (made,) = notifications_of([low()], [UUID(int=101)], {ANN: last}, now=NOW, apart=APART)
    assert (made.due_at, made.told_in) == (NOW + timedelta(minutes=10), None)


def test_a_mail_of_low_stock_that_waits_takes_what_comes():
    waiting = Gathering(UUID(int=99), NOW + timedelta(minutes=5), open=True)
    (made,) = notifications_of([low()], [UUID(int=101)], {ANN: waiting}, now=NOW, apart=APART)
    assert made.told_in == waiting.id


def test_other_mails_gather_nothing():
    told = tell([event("order.confirmed", total_minor=1)], listeners())
    made = notifications_of(told, [UUID(int=200 + n) for n in range(len(told))], {}, now=NOW, apart=APART)
    assert {(each.due_at, each.told_in) for each in made} == {(NOW, None)}
