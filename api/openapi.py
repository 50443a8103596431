"""The OpenAPI description: what handlers declare, with request bodies taken from the Structs themselves."""

from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi.datastructures import ResponseSpec

from api.problems import MEDIA_TYPE, Problem
from domain.rejections import Code

BODY = "request_body"
_REF = "#/components/schemas/{name}"
_DESCRIPTIONS = {
    400: "the request is malformed; `path` names the field",
    401: "no valid bearer token",
    403: "the token lacks the role",
    404: "there is no such thing of yours",
    409: "the state of things doesn't allow it",
    410: "retention has dropped it",
    413: "the body is too large",
    415: "not application/json",
    422: "understood, and impossible",
    500: "our fault; it has been noted",
    503: "try again after Retry-After",
}


def request_body(kind: type, *, required: bool = False) -> dict[str, Any]:
    """Declare a handler's request body; the handler decodes it by itself, strictly."""
    return {BODY: (kind, required)}


def PROBLEMS(*statuses: int) -> dict[int, ResponseSpec]:  # noqa: N802 - reads as the constant it stands for
    """Declare a handler's problem responses."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, media_type=MEDIA_TYPE, description=_DESCRIPTIONS[status])
        for status in statuses
    }


def describe(app: Litestar) -> bytes:
    """Render the app's description as JSON, with request bodies added."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            declared = handler.opt.get(BODY)
            if declared is None:
                continue
            kind, required = declared
            (schema,), components = msgspec.json.schema_components([kind], ref_template=_REF)
            schemas.update(components)
            path = document["paths"][route.path_format]
            for method in handler.http_methods:
                operation = path.get(method.lower())
                if operation is not None:
                    operation["requestBody"] = {
                        "required": required,
                        "content": {"application/json": {"schema": schema}},
                    }
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    schemas["ProblemCode"] = {"type": "string", "enum": [code.value for code in Code]}
    return msgspec.json.encode(document)
