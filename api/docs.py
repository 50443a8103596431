"""The API's description as one page of HTML, without scripts and without anything from elsewhere."""

from html import escape
from typing import Any

import msgspec

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #ccc}code{background:#f3f3f3;padding:.1em .3em}"
    "pre{background:#f7f7f7;padding:.8rem;overflow:auto}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}"
    ".m{display:inline-block;min-width:4rem;font-weight:700}details{margin:.4rem 0}"
)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(answer.get('description', ''))}</td></tr>"
        for status, answer in sorted(operation.get("responses", {}).items())
    )
    parameters = "".join(
        f"<li><code>{escape(p['name'])}</code> ({escape(p['in'])}{', required' if p.get('required') else ''})</li>"
        for p in operation.get("parameters", [])
    )
    body = operation.get("requestBody")
    shape = ""
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        shape = f"<p>Body: {_reference(schema)}</p>"
    return (
        f"<details id='{escape(operation.get('operationId', ''))}'><summary><span class='m'>{method.upper()}</span>"
        f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"{f'<ul>{parameters}</ul>' if parameters else ''}{shape}<table>{rows}</table></details>"
    )


def _reference(schema: dict[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name else "JSON"


def render(description: bytes) -> str:
    """Render an OpenAPI document (JSON) as HTML."""
    document: dict[str, Any] = msgspec.json.decode(description)
    areas: dict[str, list[str]] = {}
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                area = (operation.get("tags") or ["other"])[0]
                areas.setdefault(area, []).append(_operation(method, path, operation))
    parts = [f"<h2>{escape(area)}</h2>{''.join(found)}" for area, found in sorted(areas.items())]
    shapes = "".join(
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        f"<pre>{escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())}</pre></details>"
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Ordermill API</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head><body>"
        "<h1>Ordermill API</h1><p>The same as JSON: <a href='/schema'>/schema</a>. Errors are "
        "<code>application/problem+json</code>; writes answer 202 with a job unless <code>Prefer: wait=N</code> "
        f"is sent.</p>{''.join(parts)}<h2>Shapes</h2>{shapes}</body></html>"
    )
