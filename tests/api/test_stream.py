"""``GET /stream``: each hears what is for them, once, and goes on from where they were."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from api.tail import BEHIND_MAX, Listening, Message
from domain.accounts.model import Role
from domain.journal.events import EventCursor
from domain.notifications.hearing import Ear
from domain.rejections import Code
from infra.clock import new_id
from tests.api import goods
from tests.api.shop import Shop, assert_problem, bearer, order, wait

ADMIN = bearer(Role.ADMIN)
DEADLINE = 20.0
Heard = dict[str, Any]


class Reader:
    """Reads a stream: events, each with its id and type."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()
        self.last_id = ""

    def until(self, wanted: Callable[[list[Heard]], bool]) -> list[Heard]:
        """What is heard until it is enough."""
        heard: list[Heard] = []
        deadline = time.monotonic() + DEADLINE
        kind = ""
        while not wanted(heard):
            assert time.monotonic() < deadline, heard
            field, _, value = next(self._lines).partition(": ")
            match field:
                case "id":
                    self.last_id = value
                case "event":
                    kind = value
                case "data":
                    heard.append({**msgspec.json.decode(value), "kind": kind, "id": self.last_id})
        return heard


@contextmanager
def listening(shop: Shop, who: dict[str, str], *, since: str = "", **params: Any) -> Iterator[Reader]:
    fields = who | ({"Last-Event-ID": since} if since else {})
    with shop.http.stream("GET", "/stream", headers=fields, params=params) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        ear = Reader(answer)
        assert next(ear._lines).startswith("retry: ")
        yield ear


def placed(shop: Shop, *offers: Any) -> str:
    answer = shop.http.post("/orders", json=order(*offers), headers=bearer(Role.BUYER) | wait())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def of(*streams: str) -> Callable[[list[Heard]], bool]:
    """Enough is heard when each of these was."""
    return lambda heard: set(streams) <= {each["stream"] for each in heard}


def test_an_admin_hears_what_happens_and_goes_on_from_the_last_id_without_a_gap_or_a_repeat(shop: Shop):
    (offer,) = shop.offers()
    with listening(shop, ADMIN, types="order.placed") as ear:
        first = placed(shop, offer)
        (heard,) = [each for each in ear.until(of(first)) if each["stream"] == first]
    assert (heard["type"], heard["kind"], heard["version"]) == ("order.placed", "order.placed", 1)
    assert heard["data"]["lines"][0]["variant_id"] == str(offer.variant_id)
    assert UUID(heard["actor"])
    missed = [placed(shop, offer) for _ in range(3)]
    with listening(shop, ADMIN, since=heard["id"], types="order.placed") as ear:
        later = placed(shop, offer)
        again = [each["stream"] for each in ear.until(of(*missed, later))]
    mine = [stream for stream in again if stream in {first, *missed, later}]
    assert mine == [*missed, later]


def test_a_seller_hears_their_part_and_nothing_of_others(shop: Shop):
    mine, other = goods.seller(shop), goods.seller(shop)
    offers = [shop.offer_of(mine.id), shop.offer_of(other.id)]
    with listening(shop, mine.header) as ear:
        foreign = placed(shop, offers[1])
        both = placed(shop, *offers)
        heard = ear.until(of(both))
    assert foreign not in {each["stream"] for each in heard}
    (part,) = [each for each in heard if each["stream"] == both]
    assert "actor" not in part
    assert part["data"]["seller_id"] == str(mine.id)
    assert [line["seller_id"] for line in part["data"]["lines"]] == [str(mine.id)]
    assert "buyer" not in part["data"]


def test_one_who_comes_back_after_hundreds_of_events_hears_them_all(shop: Shop):
    (offer,) = shop.offers()
    with listening(shop, ADMIN, types="order.placed") as ear:
        first = placed(shop, offer)
        since = ear.until(of(first))[-1]["id"]
    streams = [new_id() for _ in range(1_200)]
    shop.execute(
        "INSERT INTO events (stream, version, type, data, actor) SELECT s, 1, 'cart.removed', '{\"into\": null}', s"
        " FROM unnest($1::uuid[]) AS s",
        streams,
    )
    with listening(shop, ADMIN, since=since, types="cart.removed") as ear:
        heard = ear.until(of(*map(str, streams)))
    assert len(heard) == 1_200


@pytest.mark.parametrize(
    ("params", "fields", "path"),
    [
        ({"types": "order.placed, stock.low"}, {}, "types"),
        ({"types": ""}, {}, "types"),
        ({"types": ",".join(["order.placed"] * 101)}, {}, "types"),
        ({"seconds": 0}, {}, "seconds"),
        ({"seconds": 901}, {}, "seconds"),
        ({}, {"Last-Event-ID": "17"}, "Last-Event-ID"),
        ({}, {"Last-Event-ID": "1-99999999999999999999"}, "Last-Event-ID"),
    ],
)
def test_what_cannot_be_listened_to_is_a_400(shop: Shop, params: dict[str, Any], fields: dict[str, str], path: str):
    answer = shop.http.get("/stream", params=params, headers=ADMIN | fields)
    assert_problem(answer, 400, Code.INVALID_REQUEST, path)


def test_a_stream_closes_when_its_time_is_over(shop: Shop):
    answer = shop.http.get("/stream", params={"seconds": 1, "types": "seller.applied"}, headers=ADMIN)
    assert answer.text == "retry: 2000\n\n"


def test_more_listeners_than_may_be_are_told_to_come_later_and_a_process_that_ends_sends_all_away(
    make_shop: Callable[[], Shop],
):
    shop = make_shop()
    shop.web(STREAM_LISTENERS_MAX="1")
    with listening(shop, ADMIN, types="seller.applied") as ear:
        answer = shop.http.get("/stream", headers=ADMIN)
        assert_problem(answer, 503, Code.OVERLOADED)
        assert answer.headers["retry-after"] == "5"
        shop.system.stop()
        assert [line for line in ear._lines if line and not line.startswith(":")] == []


def test_who_reads_too_slowly_is_sent_away_with_what_was_told():
    slow = Listening(Ear(None, ["*"]))
    for position in range(BEHIND_MAX + 5):
        slow.tell(Message(EventCursor(1, position), b"x"))
    told = [slow.messages.get_nowait() for _ in range(slow.messages.qsize())]
    assert [message.cursor.position for message in told[:-1] if message] == list(range(BEHIND_MAX))
    assert told[-1] is None
