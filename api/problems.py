"""Errors as ``application/problem+json`` (RFC 9457).

Invariant: whatever goes wrong, the client gets a stable ``code``, one sentence and, where a field is at fault, its
path. What went wrong inside is in the log and in Sentry, never in the answer.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse
from msgspec import Struct

from domain.rejections import Code, Rejection, title_of
from infra import postgres, telemetry

MEDIA_TYPE = "application/problem+json"
_encode = msgspec.json.Encoder().encode
log = telemetry.logger()


class Problem(Struct, frozen=True, omit_defaults=True):
    """What an error answer holds; ``job`` links the job a refusal came from."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    path: str | None = None
    job: str | None = None


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, rejection: Rejection, headers: dict[str, str] | None = None) -> None:
        super().__init__(rejection.detail)
        self.rejection = rejection
        self.headers = headers or {}


def refuse(status: int, code: Code, detail: str, path: str | None = None, **headers: str) -> ProblemError:
    """Make the error to raise; keyword arguments are headers, underscores standing for dashes."""
    return ProblemError(
        Rejection(status, code, detail[:2000], path), {name.replace("_", "-"): value for name, value in headers.items()}
    )


def key_reused() -> ProblemError:
    """The refusal of a request whose key stands for another one."""
    return refuse(422, Code.IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key came with another request before")


def refuse_if(rejection: Rejection | None) -> None:
    """Answer with what a decision refused, if it did."""
    if rejection is not None:
        raise ProblemError(rejection)


def problem_of(rejection: Rejection, instance: str, job: UUID | None = None) -> Problem:
    """Put a refusal into the form clients see."""
    return Problem(
        type=f"urn:ordermill:problem:{rejection.code.value}",
        title=title_of(rejection.code),
        status=rejection.status,
        code=rejection.code.value,
        detail=rejection.detail,
        instance=instance,
        path=rejection.path,
        job=None if job is None else f"/jobs/{job}",
    )


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Answer with a problem."""
    return Response(_encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def problem_answer(problem: Problem, headers: dict[str, str]) -> ASGIResponse:
    """Answer with a problem, ready to send."""
    return ASGIResponse(body=_encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


_CODES = {
    400: Code.INVALID_REQUEST,
    401: Code.UNAUTHENTICATED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.BODY_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
}


def on_problem(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    """Answer what a handler refused."""
    # RFC 9110 §15.5.2: who is asked to say who they are is told how.
    headers = {"WWW-Authenticate": "Bearer"} if error.rejection.status == 401 else {}
    return problem_response(problem_of(error.rejection, request.url.path), headers | error.headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: unknown routes, methods, parameters."""
    status = error.status_code
    code = _CODES.get(status, Code.INVALID_REQUEST if status < 500 else Code.INTERNAL)
    path = None
    extra: Any = error.extra
    if isinstance(extra, list) and extra and isinstance(extra[0], dict):
        path = str(extra[0].get("key", "")) or None
    detail = error.detail if status < 500 else "something went wrong on our side"
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    if status == 405 and error.headers:
        headers = dict(error.headers)
    return problem_response(problem_of(Rejection(status, code, detail[:2000], path), request.url.path), headers)


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault of ours; the error goes to the log and to Sentry. PostgreSQL being away is a 503."""
    if postgres.classify(error) is postgres.Failure.INFRASTRUCTURE:
        log.warning("request_unavailable", path=request.url.path, error=repr(error))
        away = Rejection(503, Code.UNAVAILABLE, "the journal can't be reached now; try again")
        return problem_response(problem_of(away, request.url.path), {"Retry-After": "1"})
    log.error("request_failed", path=request.url.path, error=repr(error), exc_info=error)
    telemetry.report(error)
    rejection = Rejection(500, Code.INTERNAL, "something went wrong on our side; it has been noted")
    return problem_response(problem_of(rejection, request.url.path))
