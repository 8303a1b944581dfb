"""The way of one request: which route, who asks, how often, what of its input, and what every response carries."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from gateway.access import admit
from gateway.cache import STALE_HEADERS, Fallback, kept_url
from gateway.cors import preflight_headers, response_headers
from gateway.exchange import Exchange
from gateway.http import Request, Response
from gateway.identity import Caller, Callers
from gateway.input import delivery, from_body, from_query, query_fields
from gateway.inspection import Parts
from gateway.limits import Limits, key_of
from gateway.preconditions import expected_version, idempotency_key, is_unchanged
from gateway.problems import TooManyHeaders, problem
from gateway.routing import PRODUCTION, Access, Asked, Input, Limit, Route, Router, Settings, routes_in
from gateway.services import Connect, Services
from gateway.static_files import static_file
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import DomainError, Fault
from shared_kernel.ids import new_id
from shared_kernel.tracing import next_traceparent, traced

DEADLINE_MS = 10_000
LARGEST_DISCARDED_BYTES = 16_000_000
MOST_HEADERS = 100

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
# RFC 6797; two years. A laptop has no certificate, and a browser would remember the demand for one.
_TRANSPORT_SECURITY = {"strict-transport-security": "max-age=63072000"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What the gateway stands on besides the services: plain Python for tests, bindings in a Worker."""

    callers: Callers
    limits: Limits
    fallback: Fallback
    parts: Parts


class Gateway:
    """Answers requests; one for each isolate, and nothing of a request is kept in it."""

    def __init__(
        self, routes: Iterable[Route[Any]], connect: Connect, surroundings: Surroundings, clock: Clock
    ) -> None:
        routes = tuple(routes)
        # Both while the Worker starts, so that no request waits for them.
        self._router = Router(routes)
        self._production_router = Router(routes_in(PRODUCTION, routes))
        self._connect = connect
        self._around = surroundings
        self._clock = clock

    async def handle(self, request: Request, settings: Settings) -> Response:
        """The response to any request; what goes wrong is a problem document, never an exception."""
        traceparent = next_traceparent(request.header("traceparent"))
        exchange = Exchange(request, settings, traceparent, self._now_ms())
        with traced(traceparent):
            response = await self._answered(exchange)
            await _discard(request)
            now_ms = self._now_ms()
            level = logging.ERROR if response.status >= 500 else logging.INFO
            _log.log(level, "a request was answered", extra={"fields": exchange.log_fields(response.status, now_ms)})
        response = response.having(self._headers(exchange, "etag" in response.headers, now_ms))
        return replace(response, text=None, file=None) if request.method == "HEAD" else response

    def _headers(self, exchange: Exchange, has_etag: bool, now_ms: int) -> dict[str, str]:
        """What every response carries."""
        request, settings = exchange.request, exchange.settings
        given_id = request.header("x-request-id") or ""
        cors = response_headers(settings.cors_origins, request.header("origin"))
        return {
            **_SECURITY_HEADERS,
            **({} if settings.environment == "local" else _TRANSPORT_SECURITY),
            **cors,
            **exchange.headers,
            "vary": ", ".join(filter(None, ("Authorization", cors.get("vary")))),
            "cache-control": "private, no-cache" if has_etag else "no-store",
            "x-request-id": given_id if _REQUEST_ID.fullmatch(given_id) else new_id("req", self._clock()),
            "traceparent": exchange.traceparent,
            "server-timing": exchange.server_timing(self._around.parts.breakers, now_ms),
        }

    async def _answered(self, exchange: Exchange) -> Response:
        error: DomainError
        try:
            return await self._routed(exchange)
        except Fault as fault:
            error = fault
            _log.error("%s: %s", fault.code, fault.message, extra={"fields": {"route": exchange.route}})
        except DomainError as refusal:
            error = refusal
        except Exception:
            error = Fault("a route raised an exception")
            _log.exception("a route raised an exception", extra={"fields": {"route": exchange.route}})
        exchange.problem = error.code
        path = self._router_of(exchange).without_secret(exchange.request.path)
        return problem(error, path=path, traceparent=exchange.traceparent)

    def _router_of(self, exchange: Exchange) -> Router:
        return self._production_router if exchange.settings.environment == PRODUCTION else self._router

    async def _routed(self, exchange: Exchange) -> Response:
        request, router = exchange.request, self._router_of(exchange)
        if request.method == "OPTIONS":
            # Not counted: a page whose preflight is refused cannot even read that it was.
            allowed = router.allowed(request.path)
            return Response(204, headers={"allow": allowed, **preflight_headers(allowed)})
        file = static_file(request.method, request.path)
        if file is not None:
            exchange.route = file.file
            await self._count("read", exchange)
            return file
        limit: Limit = "read" if request.method in ("GET", "HEAD") else "write"
        try:
            if request.header_count > MOST_HEADERS:
                raise TooManyHeaders(f"a request may have at most {MOST_HEADERS} headers")
            route, parameters = router.find(request.method, request.path)
            exchange.route, limit = route.path, route.limit
            fields = query_fields(request.query)
            who = await self._identified(route, fields, exchange)
        except DomainError:
            # Who sends what leads nowhere, or a token that is not good, is counted all the same, by his address.
            await self._count(limit, exchange)
            raise
        exchange.principal = who.principal
        await self._count(limit, exchange)
        admit(route.access, who)
        return await self._carried_out(route, parameters, fields, exchange)

    async def _identified(self, route: Route[Any], fields: dict[str, str], exchange: Exchange) -> Caller:
        # A public route has no use for a token: there it is an unknown field like any other.
        query_token = None if route.access is Access.PUBLIC else fields.pop("access_token", None)
        authorization, services = exchange.request.header("authorization"), self._services(exchange)
        return await self._around.callers.identify(
            route.access, authorization, query_token, exchange.settings, services
        )

    async def _count(self, limit: Limit, exchange: Exchange) -> None:
        quota = exchange.settings.quotas.get(limit)
        if quota is None:
            return
        key = key_of(exchange.principal, exchange.request.address)
        allowance = await self._around.limits.count(limit, key, quota)
        exchange.headers |= allowance.headers()
        if not allowance.is_allowed:
            raise allowance.refusal()

    async def _carried_out(
        self, route: Route[Any], parameters: dict[str, str], fields: dict[str, str], exchange: Exchange
    ) -> Response:
        request, settings, principal = exchange.request, exchange.settings, exchange.principal
        key = idempotency_key(request.header("idempotency-key")) if route.needs_idempotency_key else ""
        version = expected_version(request.header("if-match")) if route.needs_if_match else 0
        sent = await _input(route, fields, request)
        # The services' time begins when the request is here, however slowly its body came.
        services, parts = self._services(exchange), self._around.parts
        asked = Asked(parameters, sent, principal, services, settings, parts, key, version, request.address)
        url = kept_url(route, request, fields, principal, settings.version)
        if url is None:
            response = await route.handler(asked)
        else:
            response = await self._around.fallback.answered(url, lambda: route.handler(asked))
        exchange.headers |= {name: response.headers[name] for name in STALE_HEADERS if name in response.headers}
        tag = response.headers.get("etag")
        if request.method in ("GET", "HEAD") and is_unchanged(request.header("if-none-match"), tag):
            return Response(304, headers={"etag": str(tag)})
        return response

    def _services(self, exchange: Exchange) -> Services:
        deadline_ms = self._now_ms() + DEADLINE_MS
        return Services(self._connect, self._clock, exchange.traceparent, deadline_ms, exchange.timings)

    def _now_ms(self) -> int:
        return to_milliseconds(self._clock())


async def _discard(request: Request) -> None:
    """Take in what was not read: workerd resets the connection of a client that still sends when it is answered."""
    try:
        await request.body.discard(LARGEST_DISCARDED_BYTES)
    except ConnectionError:
        _log.info("a client went away while it was sending, or was too slow")


async def _input(route: Route[Input], fields: dict[str, str], request: Request) -> Input:
    if route.takes == "query":
        return from_query(route.input, fields)
    if route.takes == "text":
        # Another system was given our address, and may add fields of its own: they are not looked at.
        return route.input.model_validate((await delivery(request)).model_dump())
    from_query(Nothing, fields)
    return await from_body(route.input, request)
