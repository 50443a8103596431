"""What ``make fuzz`` holds answers to besides their description. Schemathesis loads this module by its name."""

from typing import Any
from urllib.parse import unquote, urlsplit

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.specs.openapi.checks import use_after_free

from domain.rejections import Code, title_of

PROBLEM = "application/problem+json"
STAYS = ("/pricing/commission-rules/",)
"""Where deleting is ending: a commission rule says for good what it said."""


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Close the shapes: a field that an answer has and its type doesn't is a fault, too.

    To clients they stay open, so that a later version may say more.
    """
    for shape in raw_schema["components"]["schemas"].values():
        if "properties" in shape:
            shape.setdefault("additionalProperties", False)


@schemathesis.check
def problems_are_ours(ctx: CheckContext, response: Response, case: Case) -> None:
    """Whatever is refused is a problem with a code that docs/problems.md lists."""
    if response.status_code < 400 or "/health/" in case.path:
        return
    assert response.headers["content-type"] == [PROBLEM], response.headers["content-type"]
    problem = response.json()
    code = Code(problem["code"])
    assert problem["type"] == f"urn:ordermill:problem:{code.value}"
    assert problem["title"] == title_of(code)
    assert problem["status"] == response.status_code
    assert 0 < len(problem["detail"]) <= 2000
    asked = urlsplit(response.request.url or "").path
    assert unquote(problem["instance"]) == unquote(asked), problem["instance"]


@schemathesis.check
def what_was_deleted_is_gone(ctx: CheckContext, response: Response, case: Case) -> None:
    """Nothing that was deleted still answers, where deleting takes things away."""
    if not case.path.startswith(STAYS):
        use_after_free(ctx, response, case)
