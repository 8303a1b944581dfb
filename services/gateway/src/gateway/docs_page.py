"""The description of the API as one page to read, without scripts and without another host."""

import json
from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; text-transform: capitalize }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { overflow: auto; padding: .75rem; border: 1px solid #8884; border-radius: .4rem }
details { border: 1px solid #8884; border-radius: .4rem; margin: .5rem 0; padding: .5rem .75rem }
summary { cursor: pointer }
summary b { display: inline-block; min-width: 4.5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884 }
"""


def html_page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document that `gateway.openapi` made."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in by_tag.items())
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre></details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Pasar API</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f'<p>{_text(info["description"])}</p><p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"{sections}<h2>Models</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(_parameter(parameter) for parameter in operation["parameters"])
    responses = "".join(
        f"<tr><td>{escape(status)}</td><td>{_text(response['description'])}</td>"
        f"<td>{_model(response.get('content', {}))}</td></tr>"
        for status, response in operation["responses"].items()
    )
    body = operation.get("requestBody")
    return (
        f"<details><summary><b>{escape(method.upper())}</b><code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><p>{escape(operation['description'])}</p>"
        + (f"<p>Body: {_model(body['content'])}</p>" if body else "")
        + (f"<table><tr><th>Parameter</th><th>In</th><th>Form</th></tr>{parameters}</table>" if parameters else "")
        + f"<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>{responses}</table></details>"
    )


def _parameter(parameter: dict[str, Any]) -> str:
    form = {key: value for key, value in parameter["schema"].items() if key != "title"}
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code>{' (required)' if parameter.get('required') else ''}</td>"
        f"<td>{escape(parameter['in'])}</td><td><code>{escape(json.dumps(form))}</code></td></tr>"
    )


def _model(content: dict[str, Any]) -> str:
    for media_type, described in content.items():
        name = str(described["schema"].get("$ref", "")).rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else escape(media_type)
    return ""


def _text(markdown: str) -> str:
    """A line of text with `code` in it."""
    parts = escape(markdown).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
