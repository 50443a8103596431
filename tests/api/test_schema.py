"""The API's description holds exactly the routes of api.md that are built, each with its statuses."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from domain.rejections import Code
from tests.api.shop import Shop
from tests.docs.access_page import documented

ROUTES = {
    "POST /orders": {200, 202, 400, 401, 403, 409, 413, 415, 422, 500, 503},
    "POST /orders/quote": {200, 400, 401, 403, 409, 413, 415, 422, 503},
    "GET /orders": {200, 400, 401, 403, 503},
    "GET /orders/{order_id}": {200, 401, 403, 404, 503},
    "GET /orders/{order_id}/timeline": {200, 401, 403, 404, 503},
    "GET /orders/{order_id}/invoice": {200, 400, 401, 403, 404, 503},
    "POST /orders/{order_id}/notes": {201, 400, 401, 403, 404, 413, 415, 422, 503},
    "GET /orders/{order_id}/notes": {200, 400, 401, 403, 404, 503},
    "POST /orders/{order_id}/payment": {200, 202, 400, 401, 402, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /orders/{order_id}/confirm-payment": {200, 202, 400, 401, 402, 403, 404, 409, 422, 500, 503},
    "POST /orders/{order_id}/refunds": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /orders/{order_id}/capture": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "POST /orders/{order_id}/cancel": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "GET /seller-orders": {200, 400, 401, 403, 503},
    "GET /seller-orders/{seller_order_id}": {200, 401, 403, 404, 503},
    "POST /seller-orders/{seller_order_id}/accept": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /seller-orders/{seller_order_id}/ship": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /seller-orders/{seller_order_id}/deliver": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /seller-orders/{seller_order_id}/cancel": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "GET /carts": {200, 400, 401, 403, 503},
    "POST /carts": {201, 400, 401, 403, 409, 413, 415, 422, 503},
    "GET /carts/{cart_id}": {200, 401, 403, 404, 503},
    "PUT /carts/{cart_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /carts/{cart_id}": {204, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /carts/{cart_id}/checkout": {200, 202, 400, 401, 403, 404, 409, 412, 413, 415, 422, 500, 503},
    "GET /categories": {200, 400, 401, 403, 503},
    "POST /categories": {201, 400, 401, 403, 409, 413, 415, 422, 503},
    "GET /categories/{category_id}": {200, 401, 403, 404, 503},
    "PUT /categories/{category_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /categories/{category_id}": {204, 400, 401, 403, 404, 409, 412, 422, 503},
    "GET /categories/{category_id}/schema": {200, 401, 403, 404, 503},
    "POST /categories/{category_id}/move": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "PUT /categories/{category_id}/attributes/{attribute_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /categories/{category_id}/attributes/{attribute_id}": {204, 400, 401, 403, 404, 409, 412, 422, 503},
    "GET /attributes": {200, 400, 401, 403, 503},
    "POST /attributes": {201, 400, 401, 403, 409, 413, 415, 422, 503},
    "GET /attributes/{attribute_id}": {200, 401, 403, 404, 503},
    "PUT /attributes/{attribute_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /attributes/{attribute_id}": {204, 400, 401, 403, 404, 409, 412, 422, 503},
    "GET /products": {200, 400, 401, 403, 503},
    "GET /products/{product_id}": {200, 401, 403, 404, 503},
    "GET /products/by-slug/{slug}": {200, 301, 401, 403, 404, 503},
    "GET /products/{product_id}/history": {200, 400, 401, 403, 404, 503},
    "POST /products": {201, 400, 401, 403, 409, 413, 415, 422, 503},
    "PUT /products/{product_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "PATCH /products/{product_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /products/{product_id}/submit": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /products/{product_id}/approve": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /products/{product_id}/activate": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /products/{product_id}/deactivate": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /products/{product_id}/archive": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /products/{product_id}/variants/generate": {200, 400, 401, 403, 404, 409, 422, 503},
    "GET /variants/{variant_id}": {200, 401, 403, 404, 503},
    "PATCH /variants/{variant_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "GET /variants/{variant_id}/offers": {200, 400, 401, 403, 404, 503},
    "PUT /offers/{variant_id}/{seller_id}": {200, 201, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /offers/{variant_id}/{seller_id}": {204, 400, 401, 403, 404, 412, 422, 503},
    "GET /inventory/{variant_id}/{seller_id}": {200, 401, 403, 404, 503},
    "PUT /inventory/{variant_id}/{seller_id}/stock": {200, 202, 400, 401, 403, 404, 409, 412, 413, 415, 422, 500, 503},
    "PUT /inventory/{variant_id}/{seller_id}/threshold": {200, 400, 401, 403, 404, 412, 413, 415, 422, 503},
    "POST /inventory/stock/bulk": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /inventory/reserve": {200, 202, 400, 401, 403, 409, 413, 415, 422, 500, 503},
    "POST /inventory/release/{reservation_id}": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "POST /inventory/extend/{reservation_id}": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "POST /inventory/confirm/{reservation_id}": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "GET /inventory/movements": {200, 400, 401, 403, 503},
    "GET /promotions": {200, 400, 401, 403, 503},
    "POST /promotions": {201, 400, 401, 403, 413, 415, 422, 503},
    "GET /promotions/{promotion_id}": {200, 401, 403, 404, 503},
    "PUT /promotions/{promotion_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /promotions/{promotion_id}/activate": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /promotions/{promotion_id}/pause": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /promotions/{promotion_id}/end": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "GET /promotions/{promotion_id}/usage": {200, 401, 403, 404, 503},
    "GET /promotions/{promotion_id}/redemptions": {200, 400, 401, 403, 404, 503},
    "GET /promotions/{promotion_id}/codes": {200, 400, 401, 403, 404, 503},
    "POST /promotions/{promotion_id}/codes": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "GET /jobs": {200, 400, 401, 403, 503},
    "GET /jobs/{job_id}": {200, 401, 403, 404, 410, 503},
    "GET /jobs/{job_id}/events": {200, 401, 403, 404, 410, 503},
    "POST /jobs/{job_id}/cancel": {200, 400, 401, 403, 404, 409, 410, 422, 503},
    "POST /jobs/{job_id}/retry": {202, 400, 401, 403, 404, 409, 410, 422, 503},
    "POST /sweeps/{job}": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "GET /lanes": {200, 401, 403, 503},
    "POST /lanes/{lane}/pause": {200, 400, 401, 403, 404, 422, 503},
    "POST /lanes/{lane}/resume": {200, 400, 401, 403, 404, 422, 503},
    "GET /addresses": {200, 400, 401, 403, 503},
    "POST /addresses": {201, 400, 401, 403, 404, 409, 413, 415, 422, 503},
    "PUT /addresses/{address_id}": {200, 400, 401, 403, 404, 412, 413, 415, 422, 503},
    "DELETE /addresses/{address_id}": {204, 400, 401, 403, 404, 412, 422, 503},
    "GET /api-keys": {200, 400, 401, 403, 503},
    "POST /api-keys": {201, 400, 401, 403, 404, 409, 413, 415, 422, 503},
    "POST /api-keys/{key_id}/rotate": {201, 400, 401, 403, 404, 409, 413, 415, 422, 503},
    "DELETE /api-keys/{key_id}": {204, 400, 401, 403, 404, 422, 503},
    "GET /orders/{order_id}/commission": {200, 401, 403, 404, 503},
    "GET /sellers/me/balance": {200, 401, 403, 404, 503},
    "GET /sellers/me/statements": {200, 400, 401, 403, 404, 503},
    "GET /ledger/accounts": {200, 400, 401, 403, 503},
    "GET /ledger/entries": {200, 400, 401, 403, 503},
    "GET /payouts": {200, 400, 401, 403, 503},
    "POST /payouts": {200, 202, 400, 401, 403, 409, 413, 415, 422, 500, 503},
    "GET /payouts/{payout_id}": {200, 400, 401, 403, 404, 503},
    "POST /payouts/{payout_id}/approve": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "POST /payouts/{payout_id}/paid": {200, 202, 400, 401, 403, 404, 409, 422, 500, 503},
    "POST /payouts/{payout_id}/failed": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "GET /payouts/{payout_id}/export": {200, 401, 403, 404, 409, 503},
    "GET /sellers/me/commission": {200, 400, 401, 403, 404, 503},
    "GET /pricing/commission-rules": {200, 400, 401, 403, 503},
    "POST /pricing/commission-rules": {201, 400, 401, 403, 409, 413, 415, 422, 503},
    "GET /pricing/commission-rules/{rule_id}": {200, 401, 403, 404, 503},
    "PUT /pricing/commission-rules/{rule_id}": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "DELETE /pricing/commission-rules/{rule_id}": {204, 400, 401, 403, 404, 412, 422, 503},
    "POST /pricing/commission/preview": {200, 400, 401, 403, 413, 415, 422, 503},
    "GET /pricing/commission-calculations": {200, 400, 401, 403, 503},
    "POST /auth/register": {202, 400, 413, 415, 503},
    "POST /auth/verify-email": {204, 400, 413, 415, 503},
    "POST /auth/password/forgot": {202, 400, 413, 415, 503},
    "POST /auth/password/reset": {204, 400, 413, 415, 503},
    "POST /auth/login": {200, 400, 401, 403, 413, 415, 503},
    "POST /auth/refresh": {200, 400, 401, 403, 413, 415, 503},
    "POST /auth/logout": {204, 400, 413, 415, 503},
    "POST /auth/guest": {201},
    "GET /auth/profile": {200, 401, 403, 404, 503},
    "PATCH /auth/profile": {200, 400, 401, 403, 404, 412, 413, 415, 422, 503},
    "POST /auth/password/change": {204, 400, 401, 403, 404, 413, 415, 503},
    "GET /auth/sessions": {200, 400, 401, 403, 503},
    "DELETE /auth/sessions/{session_id}": {204, 400, 401, 403, 404, 422, 503},
    "GET /accounts": {200, 400, 401, 403, 503},
    "POST /accounts/{account_id}/suspend": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /accounts/{account_id}/reactivate": {200, 400, 401, 403, 404, 412, 422, 503},
    "PUT /accounts/{account_id}/roles": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "PUT /accounts/{account_id}/group": {200, 400, 401, 403, 404, 412, 413, 415, 422, 503},
    "POST /promotions/apply": {200, 202, 400, 401, 403, 404, 409, 413, 415, 422, 500, 503},
    "GET /tax-rates": {200, 401, 403, 503},
    "PUT /tax-rates": {200, 400, 401, 403, 412, 413, 415, 422, 503},
    "GET /price-lists": {200, 401, 403, 503},
    "PUT /price-lists": {200, 400, 401, 403, 412, 413, 415, 422, 503},
    "GET /shipping/zones": {200, 400, 401, 403, 404, 503},
    "PUT /shipping/zones": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "GET /shipping/methods": {200, 400, 401, 403, 404, 503},
    "PUT /shipping/methods": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "GET /shipping/rates": {200, 400, 401, 403, 404, 503},
    "PUT /shipping/rates": {200, 400, 401, 403, 404, 412, 413, 415, 422, 503},
    "GET /sellers": {200, 400, 401, 403, 503},
    "POST /sellers/apply": {201, 400, 401, 403, 404, 409, 413, 415, 422, 503},
    "GET /sellers/me": {200, 401, 403, 404, 503},
    "PATCH /sellers/me": {200, 400, 401, 403, 412, 413, 415, 422, 503},
    "POST /sellers/me/members": {202, 400, 401, 403, 409, 413, 415, 422, 503},
    "DELETE /sellers/me/members/{account_id}": {204, 400, 401, 403, 404, 409, 422, 503},
    "POST /sellers/{seller_id}/approve": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /sellers/{seller_id}/reject": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /sellers/{seller_id}/suspend": {200, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503},
    "POST /sellers/{seller_id}/reinstate": {200, 400, 401, 403, 404, 409, 412, 422, 503},
    "POST /webhooks/{gateway}": {202, 400, 404, 413, 422, 503},
    "POST /webhooks/carriers/{carrier}": {202, 400, 404, 413, 422, 503},
    "GET /.well-known/jwks.json": {200},
    "GET /health/live": {200},
    "GET /health/ready": {200, 503},
    "GET /health/dependencies": {200, 503},
}
"""The routes of api.md that are built; a later area adds its own."""

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
