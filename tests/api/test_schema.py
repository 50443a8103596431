"""The API's description holds exactly the routes of api.md that are built, each with its statuses."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from domain.rejections import Code
from tests.api.routes import ROUTES
from tests.api.shop import Shop
from tests.docs.access_page import documented

OPEN = {
    "GET /products",
    "GET /products/{product_id}",
    "GET /products/by-slug/{slug}",
    "GET /variants/{variant_id}",
    "GET /variants/{variant_id}/offers",
    "POST /auth/register",
    "POST /auth/verify-email",
    "POST /auth/password/forgot",
    "POST /auth/password/reset",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/logout",
    "POST /auth/guest",
    "POST /webhooks/{gateway}",
    "GET /mails/unsubscribe",
    "POST /mails/unsubscribe",
    "POST /webhooks/carriers/{carrier}",
}
OPEN_READS = ("GET /health", "GET /.well-known", "GET /categories", "GET /attributes")
DEAF = {"POST /auth/password/change", "POST /orders/quote"}
"""What heeds no Idempotency-Key: it is about who somebody is, or writes nothing."""
UNLIMITED = ("GET /health", "GET /.well-known")
"""What has no rate limit; every other route may answer 429 as well."""

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document(shop: Shop) -> dict[str, Any]:
    answer = shop.http.get("/schema")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    described: dict[str, Any] = answer.json()
    return described


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_it_lists_exactly_the_routes_that_are_built(document: dict[str, Any]):
    assert set(operations(document)) == set(ROUTES)


def test_each_route_declares_its_statuses(document: dict[str, Any]):
    declared = {name: {int(s) for s in o["responses"]} for name, o in operations(document).items()}
    assert declared == {name: s if name.startswith(UNLIMITED) else s | {429} for name, s in ROUTES.items()}


def test_who_looks_at_tokens_says_how_it_refuses_them(document: dict[str, Any]):
    found = operations(document)
    silent = {row.route for row in documented() if row.looks and row.route in found}
    silent = {route for route in silent if not {"401", "403"} <= set(found[route]["responses"])}
    assert silent == set()


def test_it_is_openapi_3_1(document: dict[str, Any]):
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Ordermill"
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(document).items():
        assert operation["summary"], name
        in_path = set(re.findall(r"{(\w+)}", name))
        assert {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"} == in_path, name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if int(status) >= 400 and not name.startswith("GET /health"):
                assert set(answer["content"]) == {"application/problem+json"}, (name, status)


def open_ends(schema: dict[str, Any], place: str, schemas: dict[str, Any]) -> Iterator[str]:
    """Where what is sent has no end: a string without a length, a whole number without bounds, a list of any size."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from open_ends(inner, place, schemas)
    kind = schema.get("type")
    ends = {
        "string": {"maxLength", "enum", "format", "pattern"} & set(schema),
        "integer": {"minimum", "maximum"} <= set(schema),
        "array": "maxItems" in schema,
    }
    if not ends.get(kind, True):
        yield place
    if kind == "array":
        yield from open_ends(schema["items"], f"{place}[]", schemas)
    for name, inner in schema.get("properties", {}).items():
        yield from open_ends(inner, f"{place}.{name}", schemas)
    if kind == "object" and schema.get("additionalProperties") is not False:
        if "maxProperties" not in schema:
            yield place
        yield from open_ends(schema["additionalProperties"], f"{place}.*", schemas)


def test_whatever_is_sent_has_bounds(document: dict[str, Any]):
    schemas = document["components"]["schemas"]
    found: list[str] = []
    for name, operation in operations(document).items():
        for parameter in operation.get("parameters", ()):
            found += open_ends(parameter["schema"], f"{name} {parameter['name']}", schemas)
        if "requestBody" in operation:
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            found += open_ends(body, f"{name} body", schemas)
    assert [place for place in found if not place.endswith(" Prefer")] == []


def test_a_command_takes_a_key_and_tells_where_its_job_is(document: dict[str, Any]):
    command = operations(document)["POST /orders"]
    assert {p["name"] for p in command["parameters"]} == {"Idempotency-Key", "Prefer"}
    assert {"Location", "Retry-After"} <= set(command["responses"]["202"]["headers"])
    assert command["responses"]["202"]["headers"]["Location"]["required"] is True
    assert {"Location", "Preference-Applied"} <= set(command["responses"]["200"]["headers"])
    retry = operations(document)["POST /jobs/{job_id}/retry"]
    assert {p["name"] for p in retry["parameters"]} == {"job_id", "Idempotency-Key"}


def test_whoever_is_known_may_send_a_key_with_every_write_and_is_told_when_it_came_before(document: dict[str, Any]):
    for name, operation in operations(document).items():
        takes = "Idempotency-Key" in {p["name"] for p in operation.get("parameters", ())}
        is_known = operation.get("security", document["security"]) == [{"bearer": []}]
        writes = not name.startswith("GET ") and name not in DEAF
        assert takes is (is_known and writes), name
        done = [answer for status, answer in operation["responses"].items() if int(status) < 300]
        assert [("Idempotent-Replayed" in answer.get("headers", {})) for answer in done] == [takes] * len(done), name
        assert not takes or {"400", "422"} <= set(operation["responses"]), name


def test_what_is_edited_on_a_version_takes_it_and_tells_the_new_one(document: dict[str, Any]):
    for name, operation in operations(document).items():
        takes = "If-Match" in {p["name"] for p in operation.get("parameters", ())}
        assert takes is ("412" in operation["responses"]), name
    edit = operations(document)["PUT /categories/{category_id}"]
    assert edit["responses"]["200"]["headers"]["ETag"]["required"] is True


def test_every_refusal_of_a_token_says_how_to_send_one(document: dict[str, Any]):
    for name, operation in operations(document).items():
        if "401" in operation["responses"]:
            assert set(operation["responses"]["401"]["headers"]) == {"WWW-Authenticate"}, name


def test_an_answer_without_a_body_describes_none(document: dict[str, Any]):
    for name, operation in operations(document).items():
        assert "content" not in operation["responses"].get("204", {}), name


def test_times_are_described_as_times(document: dict[str, Any]):
    job = document["components"]["schemas"]["JobView"]["properties"]
    assert job["created_at"] == {"type": "string", "format": "date-time"}
    assert {"type": "string", "format": "date-time"} in job["finished_at"]["anyOf"]


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for inner in value.values() for found in references(inner)]
        return [found for inner in value for found in references(inner)] if isinstance(value, list) else []

    found = references(document)
    assert found
    schemas = document["components"]["schemas"]
    assert {reference for reference in found if reference.removeprefix("#/components/schemas/") not in schemas} == set()


def test_bodies_and_codes_come_from_the_types_themselves(document: dict[str, Any]):
    found = operations(document)
    place = found["POST /orders"]["requestBody"]
    assert place["required"] is True
    assert place["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/PlaceOrder"}
    schemas = document["components"]["schemas"]
    assert schemas["OrderLine"]["properties"]["quantity"]["minimum"] == 1
    assert schemas["OrderLine"]["additionalProperties"] is False
    assert set(schemas["OrderLine"]["required"]) == {"variant_id", "seller_id", "quantity"}
    assert found["POST /orders/{order_id}/cancel"]["requestBody"]["required"] is False
    assert set(schemas["ProblemCode"]["enum"]) == {code.value for code in Code}


def test_a_categorys_schema_may_be_asked_for_in_two_media_types(document: dict[str, Any]):
    content = operations(document)["GET /categories/{category_id}/schema"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "application/schema+json"}


def test_it_says_that_a_bearer_token_is_needed_and_where_none_is(document: dict[str, Any]):
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    open_to_all = {name for name in ROUTES if name.startswith(OPEN_READS)} | OPEN
    for name, operation in operations(document).items():
        needs_token = operation.get("security", document.get("security")) == [{"bearer": []}]
        assert needs_token is (name not in open_to_all), name


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name == "src" or (tag == "link" and name == "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_docs_are_a_page_with_every_route_that_loads_nothing(shop: Shop):
    answer = shop.http.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = _Page()
    page.feed(answer.text)
    assert page.open == []
    assert page.loads == []
    assert {path for name in ROUTES if (path := name.split(" ")[1]) not in page.text} == set()


def test_nothing_else_is_served(shop: Shop):
    for path in ("/openapi", "/openapi/openapi.json", "/openapi.json", "/swagger", "/redoc"):
        assert shop.http.get(path).status_code == 404, path
