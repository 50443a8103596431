"""Idempotency-Key: however often a request is sent, and to whichever process, it is carried out once."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

from domain.accounts.model import Role
from domain.rejections import Code
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer, order, wait


def key(value: str = "") -> dict[str, str]:
    return {"Idempotency-Key": value or uuid4().hex}


def test_the_same_request_again_is_the_same_job(shop: Shop):
    (offer,) = shop.offers()
    headers = {**bearer(), **key()}
    first = shop.http.post("/orders", json=order(offer), headers=headers)
    assert first.status_code == 202
    assert "idempotent-replayed" not in first.headers
    shop.settle()
    before = shop.counts()
    # Written differently, it is the same request: what is compared is what it says.
    body = json.dumps(dict(reversed(order(offer).items())), indent=3)
    again = shop.http.post("/orders", content=body, headers={**headers, "Content-Type": "application/json"})
    assert again.status_code == 202
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["status"] == "succeeded"
    assert again.json()["result"]["total"] == {"amount": 1000, "currency": "USD"}
    assert_nothing_written(before, shop.counts())


def test_a_repeated_request_that_waits_gets_the_outcome(shop: Shop):
    (offer,) = shop.offers(units=1)
    headers = {**bearer(), **key(), **wait()}
    first = shop.http.post("/orders", json=order(offer), headers=headers)
    again = shop.http.post("/orders", json=order(offer), headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    refused = {**bearer(), **key(), **wait()}
    problems = [
        assert_problem(
            shop.http.post("/orders", json=order(offer), headers=refused), 409, Code.OUT_OF_STOCK, "lines[0]"
        )
        for _ in range(2)
    ]
    assert problems[0] == problems[1]


def test_the_same_key_with_another_request_is_a_422(shop: Shop):
    (offer,) = shop.offers()
    buyer, same = bearer(), key()
    placed = shop.http.post("/orders", json=order(offer), headers={**buyer, **same, **wait()}).json()
    before = shop.counts()
    others = [
        ("/orders", order(offer, quantity=2)),
        (f"{placed['links']['order']}/cancel", {}),
        (f"{placed['links']['order']}/cancel", {"lines": [0]}),
    ]
    for path, body in others:
        answer = shop.http.post(path, json=body, headers={**buyer, **same})
        assert_problem(answer, 422, Code.IDEMPOTENCY_KEY_REUSED)
    assert_nothing_written(before, shop.counts())


def test_another_principal_may_use_the_same_key(shop: Shop):
    (offer,) = shop.offers()
    same = key()
    jobs = [shop.http.post("/orders", json=order(offer), headers={**bearer(), **same, **wait()}) for _ in range(3)]
    assert [job.status_code for job in jobs] == [200, 200, 200]
    assert len({job.json()["id"] for job in jobs}) == 3


def test_the_same_cancellation_of_two_orders_with_one_key_is_not_the_same_request(shop: Shop):
    (offer,) = shop.offers()
    buyer, same = bearer(), key()
    one, two = (shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()}).json() for _ in range(2))
    first = shop.http.post(f"{one['links']['order']}/cancel", headers={**buyer, **same, **wait()})
    assert first.status_code == 200
    second = shop.http.post(f"{two['links']['order']}/cancel", headers={**buyer, **same, **wait()})
    assert_problem(second, 422, Code.IDEMPOTENCY_KEY_REUSED)


def test_fifty_at_once_to_two_processes_are_one_job_and_one_order(shop: Shop):
    (offer,) = shop.offers(units=100)
    buyer = uuid4()
    headers = {**bearer(subject=buyer), **key()}
    first, second = shop.clients

    def send(number: int):
        client = first if number % 2 else second
        # Some wait, some don't; some find it new, some find it done.
        return client.post("/orders", json=order(offer), headers={**headers, **(wait() if number % 3 else {})})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    (job,) = {answer.json()["id"] for answer in answers}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    shop.settle()
    assert shop.value("SELECT count(*) FROM commands WHERE principal = $1", buyer) == 1
    assert shop.value("SELECT count(*) FROM idempotency WHERE principal = $1", buyer) == 1
    assert shop.value("SELECT count(*) FROM outcomes WHERE id = $1", UUID(job)) == 1
    assert [row["id"] for row in shop.fetch("SELECT id FROM orders WHERE buyer = $1", buyer)] == [UUID(job)]
    assert shop.value("SELECT reserved FROM stock WHERE variant_id = $1", offer.variant_id) == 1


def test_fifty_different_requests_with_one_key_at_once_leave_one_standing(shop: Shop):
    (offer,) = shop.offers(units=10_000)
    buyer = uuid4()
    headers = {**bearer(subject=buyer), **key()}

    def send(number: int):
        client = shop.clients[number % 2]
        return client.post("/orders", json=order(offer, quantity=number + 1), headers=headers)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert sorted(answer.status_code for answer in answers) == [202] + [422] * 49
    shop.settle()
    assert shop.value("SELECT count(*) FROM orders WHERE buyer = $1", buyer) == 1


def test_a_cancellation_sent_twice_at_once_with_one_key_happens_once(shop: Shop):
    (offer,) = shop.offers()
    buyer = bearer()
    placed = shop.http.post("/orders", json=order(offer), headers={**buyer, **wait()}).json()
    headers = {**buyer, **key(), **wait()}
    with ThreadPoolExecutor(10) as pool:
        path = f"{placed['links']['order']}/cancel"
        answers = list(pool.map(lambda n: shop.clients[n % 2].post(path, headers=headers), range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_sweep_takes_a_key_too(shop: Shop):
    headers = {**bearer(Role.ADMIN), **key(), **wait()}
    first, again = (shop.http.post("/sweeps/expire_reservations", headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
