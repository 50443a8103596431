"""Decode request bodies: strict types, no unknown fields, no NUL characters, limits of this deployment.

Invariant: what passes here can be written to PostgreSQL as it is. A body that doesn't pass changes nothing, and
its problem names the place.
"""

import re
from typing import Any, TypeVar

import msgspec

from api.problems import refuse
from domain.limits import Limits
from domain.orders.model import PlaceOrder
from domain.rejections import Code

T = TypeVar("T")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_PATH = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_JSON_TYPES = ("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8")


def decode(body: bytes, kind: type[T], *, content_type: str, limits: Limits) -> T:
    """Decode a JSON body into a Struct; raises a problem of status 400 or 415 with the offending path."""
    if content_type not in _JSON_TYPES and not content_type.lower().startswith("application/json"):
        raise refuse(415, Code.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    if b"\\u0000" in body or body.count(b"{") + body.count(b"[") > limits.json_depth_max:
        _look_closely(body, limits)
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        message = str(error)
        found = _PATH.search(message)
        path = found["path"] if found else None
        raise refuse(400, Code.INVALID_REQUEST, _PATH.sub("", message), path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, Code.INVALID_REQUEST, f"the body is not JSON: {error}") from None
    return value


def check_order(order: PlaceOrder, limits: Limits) -> None:
    """Hold an order against the limits of this deployment; raises a problem of status 400."""
    if len(order.lines) > limits.order_lines_max:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {limits.order_lines_max} lines", "lines")
    for index, line in enumerate(order.lines):
        if line.quantity > limits.line_quantity_max:
            raise refuse(
                400, Code.INVALID_REQUEST, f"at most {limits.line_quantity_max} units", f"lines[{index}].quantity"
            )


def _look_closely(body: bytes, limits: Limits) -> None:
    """Walk an unusual body for what its type alone can't refuse: depth and NUL characters."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, Code.INVALID_REQUEST, f"the body is not JSON: {error}") from None
    todo: list[tuple[str, Any, int]] = [("", value, 1)]
    while todo:
        path, item, depth = todo.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise refuse(400, Code.INVALID_REQUEST, "a string holds the character U+0000", path or None)
        elif isinstance(item, dict | list):
            if depth > limits.json_depth_max:
                raise refuse(
                    400, Code.INVALID_REQUEST, f"nested deeper than {limits.json_depth_max} levels", path[:200] or None
                )
            todo.extend(_children(path, item, depth + 1))


def _children(path: str, item: dict[str, Any] | list[Any], depth: int) -> list[tuple[str, Any, int]]:
    if isinstance(item, list):
        return [(f"{path}[{index}]", value, depth) for index, value in enumerate(item)]
    children: list[tuple[str, Any, int]] = []
    for key, value in item.items():
        name = f"{path}.{key}" if path else key
        if "\0" in key:
            raise refuse(400, Code.INVALID_REQUEST, "a name holds the character U+0000", path or None)
        children.append((name, value, depth))
    return children
