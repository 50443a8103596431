"""Everything about a request but its body: tokens, routes, parameters and headers that can't be believed."""

import base64
import json
import re
import time
from uuid import UUID, uuid4

import httpx
import jwt
import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from infra.clock import new_id
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer, order, wait
from tests.builders import SECRET_KEY, token
from tests.system import eventually

BUYER = str(uuid4())


def signed(claims: dict[str, object], key: str = SECRET_KEY, algorithm: str = "HS256", **headers: object) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers or None)


def claims(**changes: object) -> dict[str, object]:
    known = {"sub": BUYER, "roles": ["BUYER"], "exp": int(time.time()) + 600, **changes}
    return {name: value for name, value in known.items() if value is not ...}


def _unsigned() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}."


def _tampered() -> str:
    head, body, signature = signed(claims()).split(".")
    return f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}"


TOKENS = {
    "expired": lambda: token(seconds=-1),
    "signed with another key": lambda: signed(claims(), key="another-key-0123456789-0123456789"),
    "alg none": _unsigned,
    "alg none without a signature": lambda: _unsigned().rstrip("."),
    "another algorithm under our key": lambda: signed(claims(), key=SECRET_KEY * 2, algorithm="HS512"),
    "changed after signing": _tampered,
    "without exp": lambda: signed(claims(exp=...)),
    "exp not a number": lambda: signed(claims(exp="tomorrow")),
    "without sub": lambda: signed(claims(sub=...)),
    "sub not a UUID": lambda: signed(claims(sub="somebody")),
    "sub a number": lambda: signed(claims(sub=7)),
    "an unknown role": lambda: signed(claims(roles=["EMPEROR"])),
    "roles not a list": lambda: signed(claims(roles="ADMIN")),
    "roles null": lambda: signed(claims(roles=None)),
    "not valid yet": lambda: signed(claims(nbf=int(time.time()) + 600)),
    "claims not an object": lambda: jwt.api_jws.encode(b"[]", SECRET_KEY, algorithm="HS256"),
    "garbage": lambda: "garbage",
    "dots": lambda: "...",
    "not ASCII": lambda: "é.é.é",
    "very long": lambda: "a" * 6_000,
}


@pytest.mark.parametrize("make", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_that_is_not_ours_is_a_401(shop: Shop, make):
    (offer,) = shop.offers()
    before = shop.counts()
    headers = {"Authorization": f"Bearer {make()}".encode("latin-1"), "Idempotency-Key": "k"}
    answer = shop.http.post("/orders", json=order(offer), headers=headers)
    problem = assert_problem(answer, 401, Code.UNAUTHENTICATED)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert make() not in problem["detail"]
    assert_nothing_written(before, shop.counts())


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "a.b.c"])
def test_without_a_bearer_token_it_is_a_401(shop: Shop, header: str | None):
    headers = {} if header is None else {"Authorization": header}
    for method, path in [("POST", "/orders"), ("GET", "/orders"), ("GET", "/jobs"), ("GET", "/lanes")]:
        assert_problem(shop.http.request(method, path, headers=headers), 401, Code.UNAUTHENTICATED)


def test_a_token_ends_when_it_expires_even_if_it_was_known(shop: Shop):
    short = signed(claims(exp=int(time.time()) + 2))
    headers = {"Authorization": f"Bearer {short}"}
    assert shop.http.get("/orders", headers=headers).status_code == 200
    answers: list[httpx.Response] = []
    eventually(lambda: answers.append(shop.http.get("/orders", headers=headers)) or answers[-1].status_code != 200, 5)
    assert_problem(answers[-1], 401, Code.UNAUTHENTICATED)


ADMIN_ONLY = [
    ("GET", "/lanes"),
    ("POST", "/lanes/orders/pause"),
    ("POST", "/lanes/orders/resume"),
    ("POST", "/sweeps/expire_reservations"),
    ("POST", "/jobs/01890000-0000-7000-8000-000000000000/retry"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
def test_what_only_an_admin_may_is_a_403_for_others(shop: Shop, method: str, path: str):
    before = shop.counts()
    for roles in ((Role.BUYER,), (Role.SELLER,)):
        assert_problem(shop.http.request(method, path, headers=bearer(*roles)), 403, Code.FORBIDDEN)
    assert_nothing_written(before, shop.counts())
    assert shop.value("SELECT count(*) FROM paused_lanes") == 0


def test_a_token_without_a_role_that_buys_is_a_403(shop: Shop):
    (offer,) = shop.offers()
    before = shop.counts()
    none = {"Authorization": f"Bearer {signed(claims(roles=[]))}"}
    missing = {"Authorization": f"Bearer {signed(claims(roles=...))}"}
    for headers in (none, missing, bearer(Role.SELLER)):
        assert_problem(shop.http.post("/orders", json=order(offer), headers=headers), 403, Code.FORBIDDEN)
        assert_problem(shop.http.get("/orders", headers=headers), 403, Code.FORBIDDEN)
        assert_problem(shop.http.get(f"/orders/{new_id()}", headers=headers), 403, Code.FORBIDDEN)
    assert_nothing_written(before, shop.counts())


def test_what_is_someone_elses_is_a_404(shop: Shop):
    (offer,) = shop.offers()
    mine = bearer()
    job = shop.http.post("/orders", json=order(offer), headers={**mine, **wait()}).json()
    shop.pause()
    try:
        queued = shop.http.post("/orders", json=order(offer), headers=mine).json()
        before = shop.counts()
        theirs = bearer()
        for found in (job, queued):
            at_order, at_job = found["links"]["order"], found["links"]["self"]
            for method, path in [
                ("GET", at_order),
                ("GET", f"{at_order}/timeline"),
                ("POST", f"{at_order}/cancel"),
                ("GET", at_job),
                ("GET", f"{at_job}/events"),
                ("POST", f"{at_job}/cancel"),
            ]:
                assert_problem(shop.http.request(method, path, headers=theirs), 404, Code.NOT_FOUND)
        assert_nothing_written(before, shop.counts())
    finally:
        shop.resume()
        shop.settle()
    assert shop.http.get(job["links"]["order"], headers=mine).json()["status"] == "pending_payment"
    assert shop.http.get(queued["links"]["order"], headers=mine).json()["status"] == "pending_payment"


def test_what_never_was_is_a_404(shop: Shop):
    buyer, nowhere = bearer(), new_id()
    for method, path in [
        ("GET", f"/orders/{nowhere}"),
        ("GET", f"/orders/{nowhere}/timeline"),
        ("POST", f"/orders/{nowhere}/cancel"),
        ("GET", f"/jobs/{nowhere}"),
        ("GET", f"/jobs/{nowhere}/events"),
        ("POST", f"/jobs/{nowhere}/cancel"),
    ]:
        assert_problem(shop.http.request(method, path, headers=buyer), 404, Code.NOT_FOUND)
    admin = bearer(Role.ADMIN)
    for path in (f"/jobs/{nowhere}/retry", "/sweeps/spring_clean", "/lanes/fast/pause", "/lanes/fast/resume"):
        assert_problem(shop.http.post(path, headers=admin), 404, Code.NOT_FOUND)
    # A job that isn't about placing an order is nobody's order.
    sweep = shop.http.post("/sweeps/rescue_runs", headers={**admin, **wait()}).json()
    assert_problem(shop.http.get(f"/orders/{sweep['id']}", headers=admin), 404, Code.NOT_FOUND)
    assert_problem(shop.http.post(f"/orders/{sweep['id']}/cancel", headers=admin), 404, Code.NOT_FOUND)


@pytest.mark.parametrize("path", ["/", "/nothing", "/orders/x/y/z", "/jobs/1/2", "/../etc/passwd"])
def test_an_unknown_route_is_a_404(shop: Shop, path: str):
    answer = shop.http.get(path, headers=bearer())
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (404, Code.NOT_FOUND, 404)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("bad", ["1", "not-a-uuid", "%00", "01890000-0000-7000-8000-00000000000g", "a" * 2_000])
def test_a_path_with_a_bad_uuid_is_a_4xx(shop: Shop, bad: str):
    before = shop.counts()
    for method, path in [
        ("GET", f"/orders/{bad}"),
        ("POST", f"/orders/{bad}/cancel"),
        ("GET", f"/jobs/{bad}"),
        ("POST", f"/jobs/{bad}/retry"),
    ]:
        answer = shop.http.request(method, path, headers=bearer(Role.ADMIN))
        assert answer.status_code in {400, 404}
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    assert_nothing_written(before, shop.counts())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/orders", {"GET", "POST"}), ("PUT", "/lanes", {"GET"}), ("GET", "/lanes/orders/pause", {"POST"})],
)
def test_an_unknown_method_is_a_405_that_lists_the_known_ones(shop: Shop, method: str, path: str, allowed: set[str]):
    answer = shop.http.request(method, path, headers=bearer())
    assert_problem(answer, 405, Code.METHOD_NOT_ALLOWED)
    assert allowed <= {name.strip() for name in answer.headers["allow"].split(",")}


def test_options_lists_every_method_of_a_path(shop: Shop):
    paths = shop.http.get("/schema").json()["paths"]
    for path, item in paths.items():
        answer = shop.http.options(path.format(**dict.fromkeys(re.findall(r"{(\w+)}", path), str(new_id()))))
        assert answer.status_code == 204, path
        assert set(answer.headers["allow"].split(", ")) == {method.upper() for method in item} | {"OPTIONS"}, path


@pytest.mark.parametrize(
    "asked", ["/orders?limit", "/accounts?status", "/accounts?role", "/accounts?email=a@example.com&limit"]
)
def test_null_is_no_value_of_a_parameter_and_filters_nothing_away(shop: Shop, asked: str):
    answer = shop.http.get(f"{asked}=null", headers=bearer(Role.ADMIN))
    assert_problem(answer, 400, Code.INVALID_REQUEST, re.split("[?&]", asked)[-1])


def test_null_is_a_text_like_any_other(shop: Shop):
    answer = shop.http.get("/accounts?email=null", headers=bearer(Role.ADMIN))
    assert answer.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/orders", "/jobs"])
@pytest.mark.parametrize("limit", ["0", "-1", "201", "1.5", "many", "true", "", str(10**30), "\0"])
def test_a_bad_limit_is_a_400(shop: Shop, path: str, limit: str):
    assert_problem(shop.http.get(path, params={"limit": limit}, headers=bearer()), 400, Code.INVALID_REQUEST, "limit")


@pytest.mark.parametrize("path", ["/orders", "/jobs"])
@pytest.mark.parametrize(
    "cursor", ["", "!", "AAAA", "é", "A" * 23, "x" * 5_000, "\0", "01890000-0000-7000-8000-000000000000"]
)
def test_a_bad_cursor_is_a_400(shop: Shop, path: str, cursor: str):
    answer = shop.http.get(path, params={"cursor": cursor}, headers=bearer())
    assert_problem(answer, 400, Code.INVALID_REQUEST, "cursor")


def test_every_list_says_how_many_items_it_may_have_and_takes_no_cursor_but_its_own(shop: Shop):
    lists = {
        path
        for path, item in shop.http.get("/schema").json()["paths"].items()
        if "cursor" in {parameter["name"] for parameter in item.get("get", {}).get("parameters", ())}
        and "{" not in path
        # Who acts for no seller has no statement.
        and path != "/sellers/me/statements"
    }
    assert {"/orders", "/jobs", "/accounts", "/sellers", "/addresses", "/attributes", "/categories"} <= lists
    foreign = base64.urlsafe_b64encode(b"[7,7,7,7,7]").decode().rstrip("=")
    for path in lists:
        for name, value in [("limit", "201"), ("limit", "0"), ("cursor", "!"), ("cursor", foreign)]:
            answer = shop.http.get(path, params={name: value}, headers=bearer(Role.ADMIN))
            assert_problem(answer, 400, Code.INVALID_REQUEST, name)


def test_a_bad_status_filter_is_a_400(shop: Shop):
    for status, headers in [("queued", bearer(Role.ADMIN)), ("failed", bearer()), ("x" * 50, bearer(Role.ADMIN))]:
        answer = shop.http.get("/jobs", params={"status": status}, headers=headers)
        assert_problem(answer, 400, Code.INVALID_REQUEST, "status")


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"tab\tin", b"\xc3\xa9", b"\x01", b"two  spaces"])
def test_a_bad_idempotency_key_is_a_400(shop: Shop, key: bytes):
    (offer,) = shop.offers()
    before = shop.counts()
    headers = {**bearer(), "Idempotency-Key": key}
    try:
        answer = shop.http.post("/orders", json=order(offer), headers=headers)
    except httpx.RemoteProtocolError:
        # A control character in a header isn't HTTP: the server may hang up.
        assert key == b"\x01"
    else:
        if answer.headers.get("content-type") != "application/problem+json":
            assert (key, answer.status_code) == (b"\x01", 400)
        else:
            assert_problem(answer, 400, Code.INVALID_REQUEST, "Idempotency-Key")
    assert_nothing_written(before, shop.counts())


def test_an_idempotency_key_of_255_characters_is_taken(shop: Shop):
    (offer,) = shop.offers()
    headers = {**bearer(), **wait(), "Idempotency-Key": "k" * 255}
    assert shop.http.post("/orders", json=order(offer), headers=headers).status_code == 200


@pytest.mark.parametrize("prefer", ["wait", "wait=soon", "wait=-1", "respond-async", "wait=", "", "x" * 5_000, "é"])
def test_a_bad_prefer_header_is_ignored(shop: Shop, prefer: str):
    (offer,) = shop.offers()
    headers = {**bearer(), "Prefer": prefer.encode("latin-1")}
    answer = shop.http.post("/orders", json=order(offer), headers=headers)
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers
    shop.settle()


@pytest.mark.parametrize("sent", [None, "", "x" * 129, "with space", "é", "semi;colon"])
def test_a_bad_request_id_is_replaced(shop: Shop, sent: str | None):
    headers = {} if sent is None else {"X-Request-ID": sent.encode("latin-1")}
    answer = shop.http.get("/health/live", headers=headers)
    assert answer.status_code == 200
    assert UUID(answer.headers["x-request-id"])
