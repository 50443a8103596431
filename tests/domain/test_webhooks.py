"""Webhooks: who hears what, when one is tried again, and who is sent nothing more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain.journal.events import BEGINNING, StoredEvent
from domain.journal.model import SYSTEM
from domain.notifications.hearing import HEARD_BY_SELLERS, Known, Line, heard_by_sellers, wanted
from domain.notifications.webhook_model import TEST, DeliveryState
from domain.notifications.webhooks import (
    RETRY_SECONDS,
    SPREAD,
    Listener,
    Outcome,
    Reply,
    address,
    body_of,
    outcome_of,
    why_disabled,
)
from domain.orders.fulfilment_model import seller_order_id

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAM, MINE, OTHER, PLATFORM, ENDPOINT = (UUID(int=n) for n in (1, 2, 3, 4, 5))
KNOWN = Known({STREAM: [Line(0, MINE, 0), Line(1, OTHER, 1), Line(2, MINE, 0)]}, {STREAM: MINE})
PLACED = {
    "number": "7Z0K-93QM-1T8C",
    "buyer": str(UUID(int=9)),
    "currency": "USD",
    "total_minor": 600,
    "lines": [{"line_no": n, "sku": f"S{n}", "total_minor": 200} for n in range(3)],
}


def event(kind: str, **data: object) -> StoredEvent:
    return StoredEvent(STREAM, 1, kind, msgspec.json.encode(data).decode(), SYSTEM, "c", NOW, BEGINNING)


def heard(kind: str, **data: object) -> dict[UUID, dict[str, object]]:
    return {seller: msgspec.json.decode(said) for seller, said in heard_by_sellers(event(kind, **data), KNOWN).items()}


def test_of_an_order_a_seller_hears_their_own_lines_and_no_more():
    said = heard("order.placed", **PLACED)
    assert said[OTHER] == {
        "order_id": str(STREAM),
        "seller_order_id": str(seller_order_id(STREAM, 1)),
        "seller_id": str(OTHER),
        "number": "7Z0K-93QM-1T8C",
        "currency": "USD",
        "lines": [{"line_no": 1, "sku": "S1", "total_minor": 200}],
    }
    assert [line["line_no"] for line in said[MINE]["lines"]] == [0, 2]  # type: ignore[attr-defined]


def test_of_lines_that_are_cancelled_those_hear_whose_they_are():
    assert set(heard("order.lines_cancelled", lines=[1], total_minor=400, reason="r")) == {OTHER}
    assert heard("order.lines_cancelled", lines=[0], reason="r")[MINE]["lines"] == [0]
    assert "total_minor" not in heard("order.lines_cancelled", lines=[0], total_minor=400, reason="r")[MINE]


def test_of_an_order_that_is_confirmed_all_its_sellers_hear():
    assert {seller: said["lines"] for seller, said in heard("order.confirmed", total_minor=600).items()} == {
        MINE: [0, 2],
        OTHER: [1],
    }


@pytest.mark.parametrize("kind", ["order.shipped", "stock.low", "offer.changed", "invoice.issued"])
def test_what_is_about_one_seller_that_one_hears_whole(kind: str):
    assert heard(kind, seller_id=str(MINE), more=1) == {MINE: {"seller_id": str(MINE), "more": 1}}


def test_of_products_and_of_themselves_sellers_hear():
    assert heard("product.rejected", changes={}) == {MINE: {"changes": {}}}
    assert heard("seller.approved", name="A") == {STREAM: {"name": "A"}}


@pytest.mark.parametrize(
    "kind", ["order.payment_captured", "order.chargeback_opened", "account.registered", "payout.paid", "cart.changed"]
)
def test_what_is_nobodys_the_platform_hears_alone(kind: str):
    assert kind not in HEARD_BY_SELLERS
    assert heard(kind, seller_id=str(MINE)) == {}
    listeners = [Listener(None, ["*"], PLATFORM), Listener(MINE, ["*"], ENDPOINT)]
    assert [each.endpoint_id for each in address([event(kind)], listeners, KNOWN)] == [PLATFORM]


def test_what_has_to_be_known_is_asked_for_once():
    assert wanted([event("order.placed"), event("order.confirmed"), event("stock.low")]) == ({STREAM}, set())
    assert wanted([event("product.created")]) == (set(), {STREAM})


@pytest.mark.parametrize(
    ("patterns", "wants"),
    [(["*"], True), (["order.*"], True), (["order.placed"], True), (["order.shipped"], False), (["ord.*"], False)],
)
def test_an_endpoint_is_sent_what_it_listens_to(patterns: list[str], wants: bool):
    assert Listener(None, patterns, ENDPOINT).wants("order.placed") is wants


def test_each_endpoint_is_sent_an_event_once_and_a_seller_their_part_of_it():
    listeners = [
        Listener(None, ["order.*", "order.placed", "*"], PLATFORM),
        Listener(OTHER, ["order.placed"], ENDPOINT),
        Listener(UUID(int=7), ["*"], UUID(int=6)),
    ]
    made = address([event("order.placed", **PLACED)], listeners, KNOWN)
    assert [(each.endpoint_id, each.seller_id) for each in made] == [(PLATFORM, None), (ENDPOINT, OTHER)]
    whole, part = (msgspec.json.decode(each.body) for each in made)
    assert (whole["type"], whole["timestamp"], whole["data"]) == ("order.placed", "2026-03-01T12:00:00Z", PLACED)
    assert "buyer" not in part["data"]


def test_a_body_is_what_the_specification_says():
    assert body_of("a.b", NOW, '{"x":1}') == '{"type":"a.b","timestamp":"2026-03-01T12:00:00Z","data":{"x":1}}'


def reply(status: int | None, retry_after: float | None = None) -> Reply:
    return Reply(status, "" if status else "no answer in time", "", 5, "https://x.example", retry_after)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_a_2xx_alone_is_success(status: int):
    assert outcome_of("order.placed", reply(status), 1, 0.0) == Outcome(DeliveryState.SUCCEEDED)


@pytest.mark.parametrize("status", [None, 199, 301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status: int | None):
    assert outcome_of("order.placed", reply(status), 1, 0.0) == Outcome(DeliveryState.PENDING, 5)


def test_it_is_tried_nine_times_over_about_a_day():
    waits = [outcome_of("order.placed", reply(500), tries, 0.0).next_seconds for tries in range(1, 10)]
    assert waits == [*RETRY_SECONDS, None]
    assert waits == [*sorted(waits[:-1]), None]
    assert 0.9 < sum(RETRY_SECONDS) / 86_400 < 1.1
    assert outcome_of("order.placed", reply(500), 9, 0.0).state is DeliveryState.FAILED


def test_what_says_nothing_is_tried_once():
    assert outcome_of(TEST, reply(500), 1, 0.0) == Outcome(DeliveryState.FAILED)


def test_what_failed_together_is_not_tried_together():
    assert outcome_of("order.placed", reply(500), 3, 1.0).next_seconds == 300 * (1 + SPREAD)


@pytest.mark.parametrize(("asked", "waits"), [(2.0, 5.0), (90.0, 90.0), (10.0**9, 86_400.0)])
def test_who_says_when_to_come_back_is_heeded_within_reason(asked: float, waits: float):
    assert outcome_of("order.placed", reply(503, asked), 1, 0.0).next_seconds == waits


def test_who_is_gone_is_sent_nothing_more():
    assert outcome_of("order.placed", reply(410), 1, 0.0) == Outcome(DeliveryState.FAILED)
    assert why_disabled(reply(410), None, NOW, 60) == "it answered 410: it is gone for good"


def test_who_takes_nothing_for_long_is_sent_nothing_more():
    since = NOW - timedelta(seconds=60)
    assert why_disabled(reply(500), since, NOW, 61) is None
    assert why_disabled(reply(500), None, NOW, 60) is None
    told = why_disabled(reply(None), since, NOW, 60)
    assert told == "it has taken nothing since 2026-03-01 11:59 UTC; the last answer was no answer in time"
