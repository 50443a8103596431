"""Decode request bodies: strict types, no unknown fields, no name twice, no NUL characters, limits of this deployment.

Invariant: what passes here can be written to PostgreSQL as it is. A body that doesn't pass changes nothing, and
its problem names the place.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from litestar import Request

from api.context import edge_of, field
from api.problems import refuse
from domain.accounts.address_model import fault_of
from domain.limits import Limits
from domain.orders.model import PlaceOrder
from domain.rejections import Code

T = TypeVar("T")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_FIELD = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`")
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_JSON_TYPES = (JSON, "application/json; charset=utf-8", "application/json;charset=utf-8")
_PATH_LENGTH_MAX = 200
BODY = "request_body"
"""The option of a handler that says what body it takes (``api.openapi.request_body``)."""
SAID = "said"
"""Where a request's scope keeps its body, when that was read before its handler."""
DRAIN_BYTES_MAX = 8 * 1024 * 1024
DRAIN_SECONDS_MAX = 1.0


async def read_body(request: Request[Any, Any, Any], bytes_max: int) -> bytes:
    """Read a request's body; raises a problem of status 413 when it is over the limit.

    Straight from the server: Litestar's own reader passes each body through two generators.
    """
    scope: Any = request.scope
    known: bytes | None = scope.get(SAID)
    if known is not None:
        return known
    body = b""
    while True:
        message: Any = await request.receive()
        if message["type"] != "http.request":
            raise refuse(400, Code.INVALID_REQUEST, "the connection was closed in the middle of the body")
        chunk: bytes = message["body"]
        body += chunk
        if len(body) > bytes_max:
            if message.get("more_body"):
                # Closing a connection with unread input resets it, and the client would never see the answer.
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS_MAX):
                        await _drain(request)
            raise refuse(413, Code.BODY_TOO_LARGE, f"a body has at most {bytes_max} bytes")
        if not message.get("more_body"):
            return body


async def body_of(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Read and decode a request's body; raises problems of status 400, 413 and 415."""
    edge = edge_of(request.app.state)
    raw = await read_body(request, edge.settings.body_bytes_max)
    return decode(raw, kind, content_type=field(request, b"content-type") or "", limits=edge.limits)


async def body_or(request: Request[Any, Any, Any], default: T) -> T:
    """Read and decode a request's body, of the default's type; without a body, the default."""
    edge = edge_of(request.app.state)
    raw = await read_body(request, edge.settings.body_bytes_max)
    if not raw:
        return default
    return decode(raw, type(default), content_type=field(request, b"content-type") or "", limits=edge.limits)


async def patch_of(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Read and decode a merge patch (RFC 7396), declared as one or as any JSON."""
    edge = edge_of(request.app.state)
    raw = await read_body(request, edge.settings.body_bytes_max)
    declared = field(request, b"content-type") or ""
    content_type = JSON if declared.partition(";")[0].strip().lower() == MERGE_PATCH else declared
    return decode(raw, kind, content_type=content_type, limits=edge.limits)


async def _drain(request: Request[Any, Any, Any]) -> None:
    drained = 0
    while drained < DRAIN_BYTES_MAX:
        message: Any = await request.receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return
        drained += len(message.get("body", b""))


def decode(body: bytes, kind: type[T], *, content_type: str, limits: Limits) -> T:
    """Decode a JSON body into a Struct; raises a problem of status 400 or 415 with the offending path."""
    if content_type not in _JSON_TYPES and content_type.partition(";")[0].strip().lower() != "application/json":
        raise refuse(415, Code.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, Code.INVALID_REQUEST, f"the body is not JSON: {error}") from None
    # Only now, so that a body of the wrong form costs one pass. A name that stands twice loses its quotes when the
    # body is read and written again.
    if (
        b"\\" in body
        or len(body) > limits.string_length_max
        or body.count(b"{") + body.count(b"[") > limits.json_depth_max
        or body.count(b'"') != msgspec.json.encode(msgspec.json.decode(body)).count(b'"')
    ):
        _look_closely(body, limits)
    return value


def _invalid(message: str) -> Exception:
    found = _PATH.search(message)
    path = found["path"] if found else ""
    field = _FIELD.match(message)
    if field is not None:
        path = f"{path}.{field['name']}" if path else field["name"]
    return refuse(400, Code.INVALID_REQUEST, _PATH.sub("", message), path[:_PATH_LENGTH_MAX] or None)


def check_order(order: PlaceOrder, limits: Limits) -> None:
    """Hold an order against the limits of this deployment; raises a problem of status 400."""
    if len(order.lines) > limits.order_lines_max:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {limits.order_lines_max} lines", "lines")
    for index, line in enumerate(order.lines):
        if line.quantity > limits.line_quantity_max:
            raise refuse(
                400, Code.INVALID_REQUEST, f"at most {limits.line_quantity_max} units", f"lines[{index}].quantity"
            )
    check_codes(order.codes, limits)
    if len(set(order.reservation_ids)) < len(order.reservation_ids):
        raise refuse(400, Code.INVALID_REQUEST, "the same reservation stands there twice", "reservation_ids")
    if order.shipping_address is not None:
        if order.shipping_address_id is not None:
            detail = "an order goes to an address of yours or to one that is written out, not to both"
            raise refuse(400, Code.INVALID_REQUEST, detail, "shipping_address")
        fault = fault_of(order.shipping_address)
        if fault is not None:
            raise refuse(fault.status, fault.code, fault.detail, f"shipping_address.{fault.path}")
    elif order.shipping_methods and order.shipping_address_id is None:
        raise refuse(400, Code.INVALID_REQUEST, "a way to ship needs an address to ship to", "shipping_methods")
    sellers = {line.seller_id for line in order.lines}
    stranger = next((seller for seller in order.shipping_methods if seller not in sellers), None)
    if stranger is not None:
        detail = "the order has no line of this seller"
        raise refuse(400, Code.INVALID_REQUEST, detail, f"shipping_methods.{stranger}")


def check_codes(codes: Sequence[str], limits: Limits) -> None:
    """Hold the codes of an order against the limit of this deployment; raises a problem of status 400."""
    if len(codes) > limits.order_codes_max:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {limits.order_codes_max} codes", "codes")


class _Object(list[tuple[str, Any]]):
    """A JSON object as it is written: every name with its value, also one that stands twice."""


def _look_closely(body: bytes, limits: Limits) -> None:
    """Walk an unusual body for what its type alone can't refuse: depth, long strings, NUL, names twice."""
    try:
        value = json.loads(body, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise refuse(400, Code.INVALID_REQUEST, f"the body is not JSON: {error}") from None
    todo: list[tuple[str, Any, int]] = [("", value, 1)]
    while todo:
        path, item, depth = todo.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise _refuse_at(path, "a string holds the character U+0000")
            if len(item) > limits.string_length_max:
                raise _refuse_at(path, f"at most {limits.string_length_max} characters")
        elif isinstance(item, list):
            if depth > limits.json_depth_max:
                raise _refuse_at(path, f"nested deeper than {limits.json_depth_max} levels")
            children = _members(path, item) if isinstance(item, _Object) else _elements(path, item)
            todo.extend((child, inner, depth + 1) for child, inner in children)


def _elements(path: str, items: list[Any]) -> list[tuple[str, Any]]:
    return [(f"{path}[{index}]", item) for index, item in enumerate(items)]


def _members(path: str, pairs: _Object) -> list[tuple[str, Any]]:
    seen: set[str] = set()
    for name, _ in pairs:
        if "\0" in name:
            raise _refuse_at(path, "a name holds the character U+0000")
        if name in seen:
            raise _refuse_at(f"{path}.{name}" if path else name, "the same name stands twice in one object")
        seen.add(name)
    return [(f"{path}.{name}" if path else name, value) for name, value in pairs]


def _refuse_at(path: str, detail: str) -> Exception:
    return refuse(400, Code.INVALID_REQUEST, detail, path[:_PATH_LENGTH_MAX] or None)
