"""Webhooks of carriers: believed by their signature, written down once, and answered at once.

Invariant: as for gateways (``api/webhooks.py``): nothing is written unless the signature holds over exactly the bytes
that came, and a webhook that comes again is the command that it was the first time.
"""

import hashlib
from typing import Annotated, Any
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
from domain.orders.fulfilment_model import CARRIER_PATTERN
from domain.orders.tracking import TakeTracking, TrackingNews
from domain.rejections import Code
from infra.carriers.protocol import BadTrackingError, BadTrackingSignatureError, Carrier

# As text: an unknown one is a 404.
CarrierInPath = Annotated[str, PathParameter(schema_extra={"maxLength": 30, "pattern": CARRIER_PATTERN})]
_decode = msgspec.json.Decoder(TakeTracking).decode


def principal_of(carrier: str) -> UUID:
    """Who submits what a carrier says: an id made of its name, which is nobody else's."""
    return UUID(bytes=hashlib.blake2b(f"carrier:{carrier}".encode(), digest_size=16).digest())


@post(
    "/webhooks/carriers/{carrier:str}",
    status_code=202,
    operation_id="take_tracking_webhook",
    summary="Take a webhook of a carrier",
    opt=anyone(),
    responses={
        202: ResponseSpec(JobView, generate_examples=False, description="it is kept, or was already"),
        **PROBLEMS(400, 404, 413, 422, 503),
    },
)
async def take_tracking_webhook(request: Request[Any, Any, Any], carrier: CarrierInPath) -> ASGIResponse:
    """Keep what a carrier says of a parcel, signed as it signs (docs/fulfilment.md)."""
    edge = edge_of(request.app.state)
    try:
        known = _known(edge, carrier)
        news = await _believed(request, edge, known)
    except ProblemError:
        edge.rates.admit(request.scope, None)
        raise
    command = _checked(TakeTracking(carrier, news))
    return await submit_noted(request, edge, principal_of(carrier), command, key=news.id)


def _known(edge: Edge, name: str) -> Carrier:
    carrier = edge.carriers.get(name)
    if carrier is None or not carrier.listens:
        raise refuse(404, Code.NOT_FOUND, "this deployment hears of no such carrier")
    return carrier


async def _believed(request: Request[Any, Any, Any], edge: Edge, carrier: Carrier) -> TrackingNews:
    body = await read_body(request, edge.settings.body_bytes_max)
    scope: Any = request.scope
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope[FIELDS].items()}
    try:
        return carrier.verify(body, fields)
    except BadTrackingSignatureError as error:
        raise refuse(400, Code.BAD_SIGNATURE, str(error)) from None
    except BadTrackingError as error:
        raise refuse(400, Code.INVALID_REQUEST, str(error)[:2000]) from None


def _checked(command: TakeTracking) -> TakeTracking:
    """The command, if a worker can read it; raises a problem of status 400."""
    try:
        return _decode(encode(command))
    except msgspec.MsgspecError as error:
        raise refuse(400, Code.INVALID_REQUEST, str(error)[:2000]) from None


router = Router(path="/", route_handlers=[take_tracking_webhook], tags=["orders"])
