"""Webhooks of carriers: believed by their signature, written down once, and answered at once.

Invariant: as for gateways (``api/webhooks.py``): nothing is written unless the signature holds over exactly the bytes
that came, and a webhook that comes again is the command that it was the first time.
"""

from typing import Annotated, Any

from litestar import Request, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.response.base import ASGIResponse

from api.access import anyone
from api.context import Edge, edge_of
from api.openapi import PROBLEMS
from api.problems import ProblemError, refuse
from api.submission import JobView, submit_noted
from api.webhooks import as_it_came, checked, principal_of
from domain.orders.fulfilment_model import CARRIER_PATTERN
from domain.orders.tracking import TakeTracking, TrackingNews
from domain.rejections import Code
from infra.carriers.protocol import BadTrackingError, BadTrackingSignatureError, Carrier

# As text: an unknown one is a 404.
CarrierInPath = Annotated[str, PathParameter(schema_extra={"maxLength": 30, "pattern": CARRIER_PATTERN})]


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
    command = checked(TakeTracking(carrier, news))
    return await submit_noted(request, edge, principal_of(carrier, "carrier"), command, key=news.id)


def _known(edge: Edge, name: str) -> Carrier:
    carrier = edge.carriers.get(name)
    if carrier is None or not carrier.listens:
        raise refuse(404, Code.NOT_FOUND, "this deployment hears of no such carrier")
    return carrier


async def _believed(request: Request[Any, Any, Any], edge: Edge, carrier: Carrier) -> TrackingNews:
    body, fields = await as_it_came(request, edge)
    try:
        return carrier.verify(body, fields)
    except BadTrackingSignatureError as error:
        raise refuse(400, Code.BAD_SIGNATURE, str(error)) from None
    except BadTrackingError as error:
        raise refuse(400, Code.INVALID_REQUEST, str(error)[:2000]) from None


router = Router(path="/", route_handlers=[take_tracking_webhook], tags=["orders"])
