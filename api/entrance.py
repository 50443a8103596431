"""What is looked at before any handler: a parameter that says ``null``, and which methods a path has.

The framework reads the text ``null`` as "not sent", so a client that sends a filter it hasn't got would see everything.
And its own answer to OPTIONS leaves out methods of a path whose handlers are several.
"""

from functools import cache
from typing import Any, get_args
from urllib.parse import parse_qsl

from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from api.problems import refuse
from domain.rejections import Code


async def look_first(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Answer OPTIONS; raise a problem of status 400 for a parameter that is ``null``."""
    scope: Any = request.scope
    if scope["method"] == "OPTIONS":
        routes = [route for route in request.app.routes if route.path_format == scope["path_template"]]
        methods = {method for route in routes for method in route.methods}
        return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})
    if b"=null" in scope["query_string"]:
        read = _never_null(request.route_handler)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if value == "null" and name in read:
                raise refuse(400, Code.INVALID_REQUEST, "null is no value: leave the parameter out", name)
    return None


@cache
def _never_null(handler: HTTPRouteHandler) -> frozenset[str]:
    """The parameters of a handler that aren't text: for text, ``null`` is four letters."""
    fields = handler.parsed_fn_signature.parameters.values()
    return frozenset(
        field.kwarg_definition.name or field.name
        for field in fields
        if isinstance(field.kwarg_definition, QueryParameter) and str not in get_args(field.annotation)
    )
