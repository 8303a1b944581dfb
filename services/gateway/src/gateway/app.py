"""The way of one request: who asks, which route, what of its input, and what every response carries."""

import logging
import re
from collections.abc import Iterable
from typing import Any

from gateway.cors import preflight_headers, response_headers
from gateway.http import Request, Response
from gateway.identity import Caller, caller
from gateway.input import delivery, from_body, from_query, query_fields
from gateway.preconditions import expected_version, idempotency_key, is_unchanged
from gateway.problems import problem
from gateway.routing import PRODUCTION, Access, Asked, Input, Route, Router, Settings, routes_in
from gateway.services import Connect, Services
from shared_kernel.clock import Clock, system_clock, to_milliseconds
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import DomainError, Fault, Unauthenticated
from shared_kernel.ids import new_id
from shared_kernel.tracing import next_traceparent, trace_id

DEADLINE_MS = 10_000
LARGEST_DISCARDED_BYTES = 16_000_000

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}

_log = logging.getLogger(__name__)


class Gateway:
    """Answers requests; one for each isolate, and nothing of a request is kept in it."""

    def __init__(self, routes: Iterable[Route[Any]], connect: Connect, clock: Clock = system_clock) -> None:
        routes = tuple(routes)
        # Both while the Worker starts, so that no request waits for them.
        self._router = Router(routes)
        self._production_router = Router(routes_in(PRODUCTION, routes))
        self._connect = connect
        self._clock = clock

    async def handle(self, request: Request, settings: Settings) -> Response:
        """The response to any request; what goes wrong is a problem document, never an exception."""
        started = self._clock()
        started_ms = to_milliseconds(started)
        traceparent = next_traceparent(request.header("traceparent"))
        timings: list[tuple[str, int]] = []
        response = await self._answered(request, settings, traceparent, timings)
        await _discard(request)
        given_id = request.header("x-request-id") or ""
        timings.append(("total", to_milliseconds(self._clock()) - started_ms))
        cors = response_headers(settings.cors_origins, request.header("origin"))
        response = response.having(
            {
                **_SECURITY_HEADERS,
                **cors,
                "vary": ", ".join(filter(None, ("Authorization", cors.get("vary")))),
                "cache-control": "private, no-cache" if "etag" in response.headers else "no-store",
                "x-request-id": given_id if _REQUEST_ID.fullmatch(given_id) else new_id("req", started),
                "traceparent": traceparent,
                "server-timing": ", ".join(f"{name};dur={took_ms}" for name, took_ms in timings),
            }
        )
        return Response(response.status, None, response.headers) if request.method == "HEAD" else response

    def _router_in(self, environment: str) -> Router:
        return self._production_router if environment == PRODUCTION else self._router

    async def _answered(
        self, request: Request, settings: Settings, traceparent: str, timings: list[tuple[str, int]]
    ) -> Response:
        error: DomainError
        path = self._router_in(settings.environment).without_secret(request.path)
        try:
            return await self._routed(request, settings, traceparent, timings)
        except Fault as fault:
            error = fault
            _log.error("%s: %s", fault.code, fault.message, extra=_fields(request.method, path, traceparent))
        except DomainError as refusal:
            error = refusal
        except Exception:
            error = Fault("a route raised an exception")
            _log.exception("a route raised an exception", extra=_fields(request.method, path, traceparent))
        return problem(error, path=path, traceparent=traceparent)

    async def _routed(
        self, request: Request, settings: Settings, traceparent: str, timings: list[tuple[str, int]]
    ) -> Response:
        router = self._router_in(settings.environment)
        if request.method == "OPTIONS":
            allowed = router.allowed(request.path)
            return Response(204, headers={"allow": allowed, **preflight_headers(allowed)})
        route, parameters = router.find(request.method, request.path)
        fields = query_fields(request.query)
        who = caller(request.header("authorization"), fields.pop("access_token", None), settings.staff_token)
        _admit(route, who)
        key = idempotency_key(request.header("idempotency-key")) if route.needs_idempotency_key else ""
        version = expected_version(request.header("if-match")) if route.needs_if_match else 0
        sent = await _input(route, fields, request)
        # The services' time begins when the request is here, however slowly its body came.
        deadline_ms = to_milliseconds(self._clock()) + DEADLINE_MS
        services = Services(self._connect, self._clock, traceparent, deadline_ms, timings)
        asked = Asked(parameters, sent, who.principal, services, settings, key, version)
        response = await route.handler(asked)
        tag = response.headers.get("etag")
        if request.method in ("GET", "HEAD") and is_unchanged(request.header("if-none-match"), tag):
            return Response(304, headers={"etag": str(tag)})
        return response


async def _discard(request: Request) -> None:
    """Take in what was not read: workerd resets the connection of a client that still sends when it is answered."""
    try:
        await request.body.discard(LARGEST_DISCARDED_BYTES)
    except ConnectionError:
        _log.info("a client went away while it was sending")


def _fields(method: str, path: str, traceparent: str) -> dict[str, object]:
    told = {"method": method, "path": path, "trace_id": trace_id(traceparent)}
    return {"fields": told}


def _admit(route: Route[Any], who: Caller) -> None:
    if route.access is Access.STAFF and who.principal.kind != "staff":
        raise Unauthenticated("this needs a staff token", code=who.refusal_code)
    if route.access is Access.OWNER and who.principal.kind == "guest" and who.principal.credential is None:
        raise Unauthenticated("this needs the order's access token, or a staff token", code=who.refusal_code)


async def _input(route: Route[Input], fields: dict[str, str], request: Request) -> Input:
    if route.takes == "query":
        return from_query(route.input, fields)
    if route.takes == "text":
        # Another system was given our address, and may add fields of its own: they are not looked at.
        return route.input.model_validate((await delivery(request)).model_dump())
    from_query(Nothing, fields)
    return await from_body(route.input, request)
