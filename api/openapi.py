"""The OpenAPI description: what handlers declare, with request bodies taken from the Structs themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec

from api.access import ACCESS, Access
from api.problems import MEDIA_TYPE, Problem
from domain.rejections import Code

BODY = "request_body"
ALSO = "also_as"
_REF = "#/components/schemas/{name}"
_DESCRIPTIONS = {
    400: "the request is malformed; `path` names the field",
    401: "no valid bearer token",
    403: "the token lacks the role",
    404: "there is no such thing of yours",
    409: "the state of things doesn't allow it",
    410: "retention has dropped it",
    412: "it was changed meanwhile: `If-Match` names another version",
    413: "the body is too large",
    415: "not application/json",
    422: "understood, and impossible",
    429: "too many requests: try again after Retry-After",
    500: "our fault; it has been noted",
    503: "try again after Retry-After",
}


_RATE_LIMITED = {
    "description": _DESCRIPTIONS[429],
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name=Problem.__name__)}}},
    "headers": {
        "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}},
        "RateLimit": {"description": "what is left, and how long nothing comes", "schema": {"type": "string"}},
        "RateLimit-Policy": {"description": "the limit", "schema": {"type": "string"}},
    },
}
"""What each route that is limited may answer, whatever it declares."""


def request_body(kind: type, *, required: bool = False) -> dict[str, Any]:
    """Declare a handler's request body; the handler decodes it by itself, strictly."""
    return {BODY: (kind, required)}


def also_as(media_type: str, description: str) -> dict[str, Any]:
    """Declare that a handler's success may be asked for in another media type, by ``Accept``."""
    return {ALSO: (media_type, description)}


def PROBLEMS(*statuses: int) -> dict[int, ResponseSpec]:  # noqa: N802 - reads as the constant it stands for
    """Declare a handler's problem responses."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, media_type=MEDIA_TYPE, description=_DESCRIPTIONS[status])
        for status in statuses
    }


def describe(routers: Sequence[Router]) -> bytes:
    """Render the description of some routers as JSON, with request bodies added.

    An app of its own makes it: the one that serves would serve pages of the framework's, too.
    """
    config = OpenAPIConfig(title="Ordermill", version="0.1.0", use_handler_docstrings=True)
    app = Litestar(route_handlers=list(routers), openapi_config=config, logging_config=None)
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods:
                operation = document["paths"].get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    schemas.update(_complete(operation, handler.opt))
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["security"] = [{"bearer": []}]
    schemas["ProblemCode"] = {"type": "string", "enum": [code.value for code in Code]}
    return msgspec.json.encode(document)


def _complete(operation: dict[str, Any], opt: Mapping[str, Any]) -> dict[str, Any]:
    """Put an operation right; return the shapes its body needs."""
    # The framework declares a 400 of its own form for every parameter; ours are declared with their form.
    if "application/json" in operation["responses"].get("400", {}).get("content", {}):
        del operation["responses"]["400"]
    access: Access = opt[ACCESS]
    if not access.roles:
        operation["security"] = []
    if ALSO in opt:
        media_type, meaning = opt[ALSO]
        operation["responses"]["200"]["content"][media_type] = {"schema": {"type": "object", "description": meaning}}
    if access.limited:
        operation["responses"]["429"] = _RATE_LIMITED
    if BODY not in opt:
        return {}
    kind, required = opt[BODY]
    (schema,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    return dict(components)
