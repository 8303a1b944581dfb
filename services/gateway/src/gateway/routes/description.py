"""The routes that describe the API, themselves included.

The page for people is Swagger UI, whose files are our own static ones, and which asks no other host: its validator is
switched off, and the page's policy would stop it.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from gateway.http import Response, json_text
from gateway.openapi import document_text
from gateway.routing import Access, Asked, Route, routes_in
from shared_kernel.contracts.model import Nothing

_SCRIPT = (
    'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null, '
    'defaultModelsExpandDepth: 0, docExpansion: "list"})'
)
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pasar API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<noscript><p>The description for programs is at <a href="/openapi.json">/openapi.json</a>.</p></noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def with_description(routes: tuple[Route[Any], ...]) -> tuple[Route[Any], ...]:
    """The routes, and those that describe them all; the document is made when it is first asked for."""

    @cache
    def openapi_text(environment: str, version: str) -> str:
        return document_text(routes_in(environment, described), version)

    async def get_openapi(asked: Asked[Nothing]) -> Response:
        """The OpenAPI document."""
        return json_text(openapi_text(asked.settings.environment, asked.settings.version))

    async def get_docs(asked: Asked[Nothing]) -> Response:
        """The description as a page to read."""
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": _policy()}
        return Response(200, _PAGE, headers)

    described = (
        *routes,
        Route("GET", "/openapi.json", Access.PUBLIC, get_openapi, Nothing, "This description, for programs"),
        Route("GET", "/docs", Access.PUBLIC, get_docs, Nothing, "This description, for people", media_type="text/html"),
    )
    return described


@cache
def _policy() -> str:
    """What the page may load: our own files and its one script."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
