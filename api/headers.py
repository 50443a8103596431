"""Header fields in the API's description: what a route takes and sends, told from what it declares.

A route that may answer 412 edits on the version it is given (``api.answers``). An answer with a version has it as its
entity tag. A route that answers with a job, whether it was waited for or not, is a command (``api.submission``).
Commands heed ``Idempotency-Key``, and so does what is declared by ``api.once``.
"""

from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from api.access import ACCESS
from api.once import Once
from api.problems import Problem
from api.submission import JobView

_TAG = r'^"[0-9]+"$'
_TAGS = r'^(\*|(W/)?"[!#-~]{0,100}"( *, *(W/)?"[!#-~]{0,100}"){0,9})$'
_KEY = r"^[!-~]+( [!-~]+)*$"
_SECONDS = {"type": "integer", "minimum": 1}


def _taken(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "required": False, "schema": schema}


_IF_MATCH = _taken(
    "If-Match",
    "the entity tags of the versions the edit is meant for; any version, without it",
    {"type": "string", "pattern": _TAGS},
)
_IDEMPOTENCY_KEY = _taken(
    "Idempotency-Key",
    "the same request again with the same key is carried out once",
    {"type": "string", "pattern": _KEY, "minLength": 1, "maxLength": 255},
)
_PREFER = _taken(
    "Prefer",
    "`wait=N` to be answered with the outcome, if it comes within N seconds (RFC 7240)",
    # What isn't understood is ignored, however long it is.
    {"type": "string", "examples": ["wait=5"]},
)


def _sent(description: str, schema: dict[str, Any], *, always: bool = False) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": schema}


_RETRY_AFTER = _sent("seconds", _SECONDS, always=True)
_JOB = {
    "Location": _sent("the job", {"type": "string", "pattern": "^/jobs/"}, always=True),
    "Preference-Applied": _sent("how long was waited at most", {"type": "string", "pattern": "^wait="}),
}
_REPLAYED = {"Idempotent-Replayed": _sent("this key came before", {"const": "true"})}
_ETAG = {"ETag": _sent("the version", {"type": "string", "pattern": _TAG}, always=True)}
_WHATEVER_IT_IS = {
    301: {"Location": _sent("where it is now", {"type": "string", "pattern": "^/"}, always=True)},
    401: {"WWW-Authenticate": _sent("the scheme", {"type": "string", "pattern": "^Bearer"}, always=True)},
    412: {"ETag": _sent("the version there is now, if there is one", {"type": "string", "pattern": _TAG})},
    503: {"Retry-After": _RETRY_AFTER},
}
"""What answers of a status have on every route."""
_LIMITS = {
    "Retry-After": _RETRY_AFTER,
    "RateLimit": _sent("what is left, and how long nothing comes", {"type": "string"}, always=True),
    "RateLimit-Policy": _sent("the limit", {"type": "string"}, always=True),
}


def header_parameters(handler: HTTPRouteHandler) -> list[dict[str, Any]]:
    """The header fields a route looks at, besides the bearer token."""
    taken = [_IDEMPOTENCY_KEY] if heeds_keys(handler) else []
    if _is_command(handler):
        taken.append(_PREFER)
    return [*taken, _IF_MATCH] if 412 in (handler.responses or {}) else taken


def kinds_of(spec: ResponseSpec) -> tuple[Any, ...]:
    """The types of an answer: one, or several. msgspec can't decode either of two Structs, and needn't."""
    kind: Any = spec.data_container
    return get_args(kind) if isinstance(kind, UnionType) else () if kind is None else (kind,)


def heeds_keys(handler: HTTPRouteHandler) -> bool:
    """Whether a request with the same ``Idempotency-Key`` is carried out once."""
    return isinstance(handler, Once) or _is_command(handler)


def response_headers(handler: HTTPRouteHandler) -> dict[str, dict[str, Any]]:
    """The header fields of a route's answers, by status."""
    found = {str(status): _of_answer(handler, status, spec) for status, spec in (handler.responses or {}).items()}
    if handler.opt[ACCESS].limited:
        found["429"] = _LIMITS
    return {status: headers for status, headers in found.items() if headers}


def _of_answer(handler: HTTPRouteHandler, status: int, spec: Any) -> dict[str, Any]:
    if status < 300:
        return dict(_of_success(handler, status, spec.data_container))
    is_health = spec.data_container is not Problem and status == 503
    return {} if is_health else _WHATEVER_IT_IS.get(status, {})


def _of_success(handler: HTTPRouteHandler, status: int, kind: Any) -> Iterator[tuple[str, Any]]:
    if kind is JobView and (status == 202 or _is_command(handler)):
        yield from _JOB.items()
    if heeds_keys(handler):
        yield from _REPLAYED.items()
    if status == 202 and kind is JobView:
        yield "Retry-After", _RETRY_AFTER
    if "version" in getattr(kind, "__struct_fields__", ()):
        yield from _ETAG.items()
    if status == 201:
        yield "Location", _sent("what was made, if it can be looked up", {"type": "string", "pattern": "^/"})


def _is_command(handler: HTTPRouteHandler) -> bool:
    """A route that may answer 200 with something else besides is one, too: it is a command for some of its bodies."""
    answers: Any = handler.responses or {}
    return all(status in answers and JobView in kinds_of(answers[status]) for status in (200, 202))
