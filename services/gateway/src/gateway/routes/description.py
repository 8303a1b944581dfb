"""The routes that describe the API, themselves included."""

from functools import cache
from typing import Any

from gateway.docs_page import CONTENT_SECURITY_POLICY, html_page
from gateway.http import Response, json_text
from gateway.openapi import document, document_text
from gateway.routing import Access, Asked, Route, routes_in
from shared_kernel.contracts.model import Nothing


def with_description(routes: tuple[Route[Any], ...]) -> tuple[Route[Any], ...]:
    """The routes, and those that describe them all; both texts are made when they are first asked for."""

    @cache
    def openapi_text(environment: str, version: str) -> str:
        return document_text(routes_in(environment, described), version)

    @cache
    def page_text(environment: str, version: str) -> str:
        return html_page(document(routes_in(environment, described), version))

    async def get_openapi(asked: Asked[Nothing]) -> Response:
        """The OpenAPI document."""
        return json_text(openapi_text(asked.settings.environment, asked.settings.version))

    async def get_docs(asked: Asked[Nothing]) -> Response:
        """The description as a page to read."""
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": CONTENT_SECURITY_POLICY,
        }
        return Response(200, page_text(asked.settings.environment, asked.settings.version), headers)

    described = (
        *routes,
        Route("GET", "/openapi.json", Access.ANYONE, get_openapi, Nothing, "This description, for programs"),
        Route("GET", "/docs", Access.ANYONE, get_docs, Nothing, "This description, for people", media_type="text/html"),
    )
    return described
