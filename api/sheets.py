"""CSV files for people's spreadsheets and for banks: who is asked for one, and how a line is written.

Invariant: what people wrote can't become a formula. A text that a spreadsheet would calculate is written with an
apostrophe before it (CWE-1236).
"""

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures.headers import Accept
from litestar.params import QueryParameter

from api.answers import JSON
from api.context import field
from api.problems import refuse
from domain.rejections import Code

CSV = "text/csv"
Format = Annotated[
    str | None,
    QueryParameter(name="format", description="whatever `Accept` says", schema_extra={"enum": ["csv", "json"]}),
]
"""The parameter that asks for a file where a header can't be set."""
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(request: Request[Any, Any, Any], wanted: str | None) -> bool:
    """Whether a file is asked for; raises a problem of status 400 for a format there isn't."""
    if wanted is not None and wanted not in {"csv", "json"}:
        raise refuse(400, Code.INVALID_REQUEST, "format is csv or json", "format")
    if wanted is not None:
        return wanted == "csv"
    return Accept(field(request, b"accept") or "").best_match([JSON, CSV], default=JSON) == CSV


def as_text(text: str) -> str:
    """A text that people wrote, as no spreadsheet calculates it."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def lines(rows: Sequence[Sequence[object]]) -> bytes:
    """Rows as lines of a file (RFC 4180)."""
    sheet = io.StringIO()
    csv.writer(sheet, lineterminator="\r\n").writerows(rows)
    return sheet.getvalue().encode()


def attachment(name: str) -> dict[str, str]:
    """Header fields of a file that is kept nowhere on its way."""
    return {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Vary": "Accept",
        "Cache-Control": "no-store",
    }
