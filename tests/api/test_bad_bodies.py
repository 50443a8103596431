"""Bodies that can't be orders: refused with the place that is wrong, and nothing is written."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, zip_longest

import pytest

from domain.rejections import Code
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer, line, order, wait

BODY_BYTES_MAX = 1024 * 1024
INVALID = Code.INVALID_REQUEST
OFFER = {"variant_id": "01890000-0000-7000-8000-000000000001", "seller_id": "01890000-0000-7000-8000-000000000002"}
GOOD = {**OFFER, "quantity": 1}


def text(*lines: object, currency: object = "USD", **more: object) -> bytes:
    return json.dumps({"currency": currency, "lines": lines, **more}).encode()


def second(**changes: object) -> bytes:
    """An order whose second line is changed."""
    return text(GOOD, {**GOOD, **changes})


def without(field: str) -> bytes:
    return text(GOOD, {name: value for name, value in GOOD.items() if name != field})


NESTED = b"[" * 30 + b"]" * 30
BAD: dict[str, tuple[bytes, str | None]] = {
    "empty": (b"", None),
    "cut off": (text(GOOD)[:-2], None),
    "not JSON": (b"currency=USD", None),
    "two documents": (text(GOOD) + b"{}", None),
    "not UTF-8": (text(GOOD).replace(b"USD", b"\xff\xfeD"), None),
    "half a surrogate pair": (text(GOOD).replace(b"USD", b"\\ud800"), None),
    "NaN": (second(quantity=float("nan")), None),
    "an array": (b"[]", None),
    "a string": (b'"order"', None),
    "no fields": (b"{}", "currency"),
    "no lines field": (b'{"currency":"USD"}', "lines"),
    "no lines": (text(), "lines"),
    "lines null": (b'{"currency":"USD","lines":null}', "lines"),
    "lines an object": (b'{"currency":"USD","lines":{}}', "lines"),
    "a line a number": (text(GOOD, 3), "lines[1]"),
    "too many lines": (text(*[GOOD] * 101), "lines"),
    "far too many lines": (text(*[GOOD] * 1_001), "lines"),
    "unknown field": (text(GOOD, codes_=[]), "codes_"),
    "unknown field of a line": (second(price=1), "lines[1].price"),
    "unknown field of money": (
        second(expected_unit_price={"amount": 1, "currency": "USD", "x": 1}),
        "lines[1].expected_unit_price.x",
    ),
    "no quantity": (without("quantity"), "lines[1].quantity"),
    "no seller": (without("seller_id"), "lines[1].seller_id"),
    "quantity a string": (second(quantity="3"), "lines[1].quantity"),
    "quantity a fraction": (second(quantity=1.5), "lines[1].quantity"),
    "quantity a whole float": (second(quantity=2.0), "lines[1].quantity"),
    "quantity true": (second(quantity=True), "lines[1].quantity"),
    "quantity null": (second(quantity=None), "lines[1].quantity"),
    "quantity 0": (second(quantity=0), "lines[1].quantity"),
    "quantity negative": (second(quantity=-1), "lines[1].quantity"),
    "quantity over the limit": (second(quantity=10_001), "lines[1].quantity"),
    "quantity over 32 bits": (second(quantity=2**31), "lines[1].quantity"),
    "quantity over 64 bits": (second(quantity=10**30), "lines[1].quantity"),
    "quantity far below zero": (second(quantity=-(10**30)), "lines[1].quantity"),
    "quantity with an exponent": (second().replace(b'"quantity": 1}]', b'"quantity": 1e2}]'), "lines[1].quantity"),
    "variant not a UUID": (second(variant_id="socks"), "lines[1].variant_id"),
    "variant a number": (second(variant_id=7), "lines[1].variant_id"),
    "currency lower case": (text(GOOD, currency="usd"), "currency"),
    "currency too long": (text(GOOD, currency="US" * 1_000), "currency"),
    "currency with a line feed": (text(GOOD, currency="USD\n"), "currency"),
    "currency a number": (text(GOOD, currency=840), "currency"),
    "price a number": (second(expected_unit_price=1999), "lines[1].expected_unit_price"),
    "price negative": (
        second(expected_unit_price={"amount": -1, "currency": "USD"}),
        "lines[1].expected_unit_price.amount",
    ),
    "price huge": (
        second(expected_unit_price={"amount": 10**30, "currency": "USD"}),
        "lines[1].expected_unit_price.amount",
    ),
    "U+0000 in a string": (text(GOOD, currency="US\0"), "currency"),
    "U+0000 in a string of a line": (second(variant_id="\0"), "lines[1].variant_id"),
    "U+0000 in a name": (text(GOOD, **{"a\0b": 1}), "a\0b"),
    "U+0000 in a name of a line": (second(**{"a\0b": 1}), "lines[1].a\0b"),
    "nested too deep": (b'{"currency":"USD","lines":' + NESTED + b"}", "lines[0]"),
    "nested beyond any depth": (b"[" * 100_000 + b"]" * 100_000, None),
    "a name twice": (b'{"currency":"USD",' + text(GOOD)[1:], "currency"),
    "a name twice in a line": (text(GOOD, GOOD)[:-3] + b',"quantity":1}]}', "lines[1].quantity"),
    "a name twice, once escaped": (b'{"\\u0063urrency":"EUR",' + text(GOOD)[1:], "currency"),
}


@pytest.mark.parametrize(("body", "path"), BAD.values(), ids=BAD.keys())
def test_a_bad_body_is_a_400_that_names_the_place(shop: Shop, body: bytes, path: str | None):
    before = shop.counts()
    headers = {**bearer(), "Content-Type": "application/json", "Idempotency-Key": "bad"}
    answer = shop.http.post("/orders", content=body, headers=headers)
    assert_problem(answer, 400, INVALID, path)
    assert_nothing_written(before, shop.counts())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_a_413(shop: Shop, chunked: bool):
    before = shop.counts()
    body = text(GOOD) + b" " * BODY_BYTES_MAX
    content = iter([body[start : start + 65_536] for start in range(0, len(body), 65_536)]) if chunked else body
    answer = shop.http.post("/orders", content=content, headers={**bearer(), "Content-Type": "application/json"})
    assert_problem(answer, 413, Code.BODY_TOO_LARGE)
    assert_nothing_written(before, shop.counts())


def test_a_body_at_the_limit_is_read(shop: Shop):
    (offer,) = shop.offers()
    body = json.dumps(order(offer)).encode()
    body += b" " * (BODY_BYTES_MAX - len(body))
    headers = {**bearer(), **wait(), "Content-Type": "application/json"}
    assert shop.http.post("/orders", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application"]
)
def test_another_content_type_is_a_415(shop: Shop, content_type: str | None):
    before = shop.counts()
    headers = {**bearer(), **({} if content_type is None else {"Content-Type": content_type})}
    assert_problem(shop.http.post("/orders", content=text(GOOD), headers=headers), 415, Code.UNSUPPORTED_MEDIA_TYPE)
    assert_nothing_written(before, shop.counts())


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;q=1"]
)
def test_json_is_known_however_its_type_is_written(shop: Shop, content_type: str):
    (offer,) = shop.offers()
    headers = {**bearer(), **wait(), "Content-Type": content_type}
    assert shop.http.post("/orders", content=json.dumps(order(offer)), headers=headers).status_code == 200


def test_strings_that_only_look_dangerous_are_taken(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    placed = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()})
    reason = 'literally \\u0000, {[{[{[{[{[{[{[ "lines": twice "lines": \u2028 😀'
    answer = shop.http.post(
        f"{placed.json()['links']['order']}/cancel", json={"reason": reason}, headers={**buyer, **wait()}
    )
    assert answer.status_code == 200, answer.text
    (event,) = shop.fetch("SELECT data->>'reason' AS reason FROM events WHERE type = 'order.cancelled' "
                          "AND stream = $1", placed.json()["id"])  # fmt: skip
    assert event["reason"] == reason


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [-1]}, "lines[0]"),
        ({"lines": ["0"]}, "lines[0]"),
        ({"lines": [10**30]}, "lines[0]"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"why": "not"}, "why"),
        ([], None),
    ],
)
def test_a_bad_cancellation_is_a_400(shop: Shop, body: object, path: str | None):
    (offer,) = shop.offers()
    buyer = bearer()
    placed = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()}).json()
    before = shop.counts()
    assert_problem(shop.http.post(f"{placed['links']['order']}/cancel", json=body, headers=buyer), 400, INVALID, path)
    assert_nothing_written(before, shop.counts())


def test_what_only_the_worker_can_know_is_a_refusal_with_its_own_status_and_the_job(shop: Shop):
    dollars, euros = shop.offers(offers=1, price=500)[0], shop.offers(offers=1, currency="EUR")[0]
    unknown = {**GOOD, "quantity": 1}
    cases = [
        ({"currency": "USD", "lines": [line(dollars), unknown]}, 422, Code.UNKNOWN_OFFER, "lines[1]"),
        (order(dollars, euros), 422, Code.CURRENCY_MISMATCH, "lines[1]"),
        (order(dollars, quantity=101), 409, Code.OUT_OF_STOCK, "lines[0]"),
        (
            {"currency": "USD", "lines": [line(dollars, expected_unit_price={"amount": 499, "currency": "USD"})]},
            409,
            Code.PRICE_CHANGED,
            "lines[0].expected_unit_price",
        ),
        (
            {"currency": "USD", "lines": [line(dollars, 10_000), line(dollars, 1)]},
            422,
            Code.QUANTITY_TOO_LARGE,
            "lines[0].quantity",
        ),
    ]
    before = shop.counts()
    for body, status, code, path in cases:
        buyer = bearer()
        problem = assert_problem(shop.http.post("/orders", json=body, headers={**buyer, **wait()}), status, code, path)
        job = shop.http.get(problem["job"], headers=buyer).json()
        assert (job["status"], job["problem"]["code"], job["problem"]["status"]) == ("rejected", code, status)
    assert_nothing_written(before, shop.counts(), but=("commands", "outcomes"))


def test_good_requests_among_bad_ones_commit_unharmed(shop: Shop):
    """What is sent at once is written in groups; some of it is refused at the edge, some by the database."""
    offers = shop.offers(offers=30, units=1)
    # What the edge doesn't know to be bad: the statement that writes the whole group fails for one request's sake.
    shop.execute("ALTER TABLE commands ADD CONSTRAINT no_poison CHECK (correlation NOT LIKE 'poison%') NOT VALID")
    try:
        before = shop.counts()
        good = [({**bearer(), **wait()}, json.dumps(order(o)).encode()) for o in offers]
        poisoned = [({**bearer(), "X-Request-ID": f"poison{n}", "Idempotency-Key": "k"}, good[n][1]) for n in range(30)]
        malformed = [(bearer(), body) for body, _ in BAD.values()]
        mixed = [sent for group in zip_longest(good, poisoned, malformed) for sent in group if sent is not None]

        def send(sent):
            headers, body = sent
            return shop.http.post("/orders", content=body, headers={**headers, "Content-Type": "application/json"})

        with ThreadPoolExecutor(40) as pool:
            answers = list(zip(mixed, pool.map(send, mixed), strict=True))
        outcome = {id(sent): answer for sent, answer in answers}
        assert {outcome[id(sent)].status_code for sent in good} == {200}
        for sent in chain(poisoned, malformed):
            assert outcome[id(sent)].status_code == 400, outcome[id(sent)].text
        after = shop.counts()
        assert after["commands"] == before["commands"] + len(offers)
        assert after["orders"] == before["orders"] + len(offers)
        assert after["idempotency"] == before["idempotency"]
    finally:
        shop.execute("ALTER TABLE commands DROP CONSTRAINT no_poison")


def test_limits_are_what_the_deployment_sets(make_shop: Callable[[], Shop]):
    shop = make_shop()
    client = shop.web(
        ORDER_LINES_MAX="2",
        LINE_QUANTITY_MAX="3",
        STRING_LENGTH_MAX="40",
        JSON_DEPTH_MAX="3",
        BODY_BYTES_MAX="2048",
        PAGE_SIZE_MAX="4",
        PAGE_SIZE="4",
        IDEMPOTENCY_KEY_LENGTH_MAX="8",
    )
    (offer,) = shop.offers()
    buyer = bearer()
    placed = client.post("/orders", json=order(offer, quantity=3), headers={**buyer, "Idempotency-Key": "k" * 8})
    assert placed.status_code == 202
    priced = line(offer, expected_unit_price={"amount": 1, "currency": "USD"})
    cases = [
        ("/orders", order(offer, offer, offer), "lines"),
        ("/orders", order(offer, quantity=4), "lines[0].quantity"),
        ("/orders", {"currency": "USD", "lines": [priced]}, "lines[0].expected_unit_price"),
        (f"{placed.json()['links']['order']}/cancel", {"reason": "x" * 41}, "reason"),
    ]
    before = shop.counts()
    for path, body, place in cases:
        assert_problem(client.post(path, json=body, headers=buyer), 400, INVALID, place)
    long = {**buyer, "Idempotency-Key": "k" * 9}
    assert_problem(client.post("/orders", json=order(offer), headers=long), 400, INVALID, "Idempotency-Key")
    assert_problem(client.get("/orders?limit=5", headers=buyer), 400, INVALID, "limit")
    large = {**buyer, "Content-Type": "application/json"}
    assert_problem(client.post("/orders", content=text(GOOD) + b" " * 2048, headers=large), 413, Code.BODY_TOO_LARGE)
    assert_nothing_written(before, shop.counts())
    assert client.post(cases[3][0], json={"reason": "x" * 40}, headers=buyer).status_code == 202
