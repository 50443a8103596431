"""The OpenAPI description: what handlers declare, with the shapes of bodies taken from the Structs themselves.

Invariant: a body that is read, or answered with, is described by the type that decodes or encodes it, as msgspec tells
it. ``make fuzz`` holds every answer against this description.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec
from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec

from api.access import ACCESS, Access
from api.decode import BODY
from api.headers import header_parameters, heeds_keys, kinds_of, response_headers
from api.problems import MEDIA_TYPE, Problem
from domain.rejections import Code

ALSO = "also_as"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_REF = "#/components/schemas/{name}"
_SAYS_NOTHING = ResponseSpec(None).description
_DESCRIPTIONS = {
    400: "the request is malformed; `path` names the field",
    401: "no valid bearer token",
    402: "the payment didn't go through",
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
    """Render the description of some routers as JSON.

    An app of its own makes it: the one that serves would serve pages of the framework's, too.
    """
    config = OpenAPIConfig(title="Ordermill", version="0.1.0", use_handler_docstrings=True)
    app = Litestar(route_handlers=list(routers), openapi_config=config, logging_config=None)
    document: dict[str, Any] = app.openapi_schema.to_schema()
    found = list(_operations(app, document))
    kinds = {kind for _, handler in found for kind in _kinds(handler)}
    ordered = sorted(kinds, key=repr)
    shapes, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    shape_of = dict(zip(ordered, shapes, strict=True))
    _tell_times(components, ordered)
    for operation, handler in found:
        _complete(operation, handler, shape_of)
    # What is left of the framework's own are the values of parameters.
    values = {name: shape for name, shape in document["components"]["schemas"].items() if "enum" in shape}
    schemas = document["components"]["schemas"] = values | components
    schemas[Problem.__name__]["properties"]["code"] = {"$ref": _REF.format(name="ProblemCode")}
    schemas["ProblemCode"] = {"type": "string", "enum": [code.value for code in Code]}
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["security"] = [{"bearer": []}]
    return msgspec.json.encode(document)


def _operations(app: Litestar, document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], HTTPRouteHandler]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods:
                operation = document["paths"].get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    yield operation, handler


def _kinds(handler: HTTPRouteHandler) -> Iterator[Any]:
    """The types a handler reads and answers with."""
    if BODY in handler.opt:
        yield handler.opt[BODY][0]
    for spec in (handler.responses or {}).values():
        yield from kinds_of(spec)


def _tell_times(components: dict[str, Any], kinds: Sequence[Any]) -> None:
    """Say which strings are times: msgspec says it only of those it decodes with their offset."""
    todo, seen = list(kinds), set()
    while todo:
        kind = todo.pop()
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            todo.extend(get_args(kind))
            continue
        if kind in seen:
            continue
        seen.add(kind)
        shapes = components.get(kind.__name__, {}).get("properties", {})
        for field in msgspec.structs.fields(kind):
            todo.append(field.type)
            shape = shapes.get(field.encode_name, {})
            if datetime in {field.type, *get_args(field.type)}:
                for text in (shape, *shape.get("anyOf", ())):
                    if text.get("type") == "string":
                        text["format"] = "date-time"


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler, shape_of: Mapping[Any, Any]) -> None:
    """Say of an operation what the framework doesn't know, and what it would say of types in its own way."""
    responses: dict[str, Any] = operation["responses"]
    # The framework declares a 400 of its own form for every parameter; ours are declared with their form.
    if "application/json" in responses.get("400", {}).get("content", {}):
        del responses["400"]
    declared: Mapping[int, ResponseSpec] = handler.responses or {}
    for answered, told in responses.items():
        spec = declared.get(int(answered))
        if spec is None or spec.data_container is None:
            told.pop("content", None)
        else:
            told["content"] = _content(spec, shape_of)
        if told["description"] in {_SAYS_NOTHING, ""}:
            told["description"] = "done" if spec is None else _told_by(spec)
    if ALSO in handler.opt:
        media_type, meaning = handler.opt[ALSO]
        shape = "string" if media_type.startswith("text/") else "object"
        content = responses["200"].setdefault("content", {})
        content[media_type] = {"schema": {"type": shape, "description": meaning}}
    access: Access = handler.opt[ACCESS]
    if not access.roles:
        operation["security"] = []
    for status in _implied(handler):
        refused = {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": shape_of[Problem]}}}
        responses.setdefault(str(status), refused)
    if BODY in handler.opt:
        kind, required = handler.opt[BODY]
        operation["requestBody"] = {"required": required, "content": {JSON: {"schema": shape_of[kind]}}}
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    parameters += header_parameters(handler)
    if parameters:
        operation["parameters"] = parameters
    for answered, headers in response_headers(handler).items():
        responses[answered]["headers"] = headers


def _implied(handler: HTTPRouteHandler) -> Iterator[int]:
    """The refusals that a route doesn't declare: they come with how it is guarded."""
    if handler.opt[ACCESS].limited:
        yield 429
    if heeds_keys(handler):
        yield from (400, 422)


def _told_by(spec: ResponseSpec) -> str:
    """What an answer is, by the first sentence of its type's docstring."""
    docs = [kind.__doc__ for kind in kinds_of(spec) if issubclass(kind, msgspec.Struct)]
    return ", or: ".join(doc.partition("\n")[0].partition(". ")[0].rstrip(".") for doc in docs if doc) or "done"


def _content(spec: ResponseSpec, shape_of: Mapping[Any, Any]) -> dict[str, Any]:
    # A schema says nothing of a stream's events.
    media_type = str(getattr(spec.media_type, "value", spec.media_type))
    if media_type == EVENT_STREAM:
        return {media_type: {}}
    shapes = [shape_of[kind] for kind in kinds_of(spec)]
    return {media_type: {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter as it comes over the wire: it is there or it isn't, and is never null."""
    schema = dict(parameter["schema"])
    choices = [choice for choice in schema.pop("oneOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema = choices[0] | schema
    elif choices:
        schema["oneOf"] = choices
    told = {name: parameter[name] for name in ("name", "in", "description", "required") if name in parameter}
    return told | {"schema": schema}
