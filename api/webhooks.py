"""Webhooks of payment gateways: believed by their signature, written down once, and answered at once.

Invariant: nothing is written unless the signature holds over exactly the bytes that came. A webhook that comes again
is the command that it was the first time, because the gateway and the webhook's own id are the command's key. What it
means is for its job to find out: a gateway only hears that it is kept.

Whoever is believed isn't limited, because a flash sale's payments come from one address. Whoever isn't is, by address.
"""

import hashlib
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.response.base import ASGIResponse

from api.access import anyone
from api.context import FIELDS, Edge, edge_of, encode
from api.decode import read_body
from api.openapi import PROBLEMS
from api.problems import ProblemError, refuse
from api.submission import JobView, submit_noted
from domain.journal.model import Command
from domain.payments.model import TakeNotice
from domain.payments.news import Notice
from domain.rejections import Code
from infra.gateways.protocol import BadNoticeError, BadSignatureError, Gateway

# As text: an unknown one is a 404.
GatewayInPath = Annotated[str, PathParameter(schema_extra={"maxLength": 30, "pattern": "^[a-z][a-z0-9_]*$"})]
C = TypeVar("C", bound=Command)


def principal_of(name: str, kind: str = "gateway") -> UUID:
    """Who submits what a gateway, or another party, says: an id made of its name, which is nobody else's."""
    return UUID(bytes=hashlib.blake2b(f"{kind}:{name}".encode(), digest_size=16).digest())


@post(
    "/webhooks/{gateway:str}",
    status_code=202,
    operation_id="take_webhook",
    summary="Take a webhook of a payment gateway",
    opt=anyone(),
    responses={
        202: ResponseSpec(JobView, generate_examples=False, description="it is kept, or was already"),
        **PROBLEMS(400, 404, 413, 422, 503),
    },
)
async def take_webhook(request: Request[Any, Any, Any], gateway: GatewayInPath) -> ASGIResponse:
    """Keep what a gateway says, in its own form, signed as it signs (docs/payments.md)."""
    edge = edge_of(request.app.state)
    try:
        known = _known(edge, gateway)
        notice = await _believed(request, edge, known)
    except ProblemError:
        edge.rates.admit(request.scope, None)
        raise
    command = checked(TakeNotice(gateway, notice))
    return await submit_noted(request, edge, principal_of(gateway), command, key=notice.id)


def _known(edge: Edge, name: str) -> Gateway:
    gateway = edge.gateways.get(name)
    if gateway is None:
        raise refuse(404, Code.NOT_FOUND, "this deployment has no such gateway")
    return gateway


async def _believed(request: Request[Any, Any, Any], edge: Edge, gateway: Gateway) -> Notice:
    body, fields = await as_it_came(request, edge)
    try:
        return gateway.verify(body, fields)
    except BadSignatureError as error:
        raise refuse(400, Code.BAD_SIGNATURE, str(error)) from None
    except BadNoticeError as error:
        raise refuse(400, Code.INVALID_REQUEST, str(error)[:2000]) from None


async def as_it_came(request: Request[Any, Any, Any], edge: Edge) -> tuple[bytes, dict[str, str]]:
    """The bytes of a webhook and its header fields, as signatures are made of them."""
    scope: Any = request.scope
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope[FIELDS].items()}
    return await read_body(request, edge.settings.body_bytes_max), fields


def checked(command: C) -> C:
    """The command, if a worker can read it and PostgreSQL can keep it; raises a problem of status 400."""
    payload = encode(command)
    if b"\\u0000" in payload:
        raise refuse(400, Code.INVALID_REQUEST, "a string holds the character U+0000")
    try:
        return msgspec.json.decode(payload, type=type(command))
    except msgspec.MsgspecError as error:
        raise refuse(400, Code.INVALID_REQUEST, str(error)[:2000]) from None


router = Router(path="/", route_handlers=[take_webhook], tags=["orders"])
