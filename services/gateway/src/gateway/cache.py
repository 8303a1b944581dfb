"""Which answers are kept for the time when the product service does not answer, for whom, and for how long.

Products and categories are the same for everyone in a market, so one answer serves all guests and customers (retail)
or all buyers (wholesale). Staff see more, and are never answered out of the cache. A refusal is never kept, and one
that says that the thing is gone forgets what was kept of it. An answer that was kept carries `Age` (RFC 9111, 5.1) and
`Cache-Status` (RFC 9211), whose negative `ttl` says that it is stale; `Warning` is obsolete (RFC 9111, 5.5).
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from gateway.http import Request, Response
from gateway.routing import Route
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.errors import Fault, NotFound
from shared_kernel.rpc import Principal

KEPT_SECONDS = 86_400
REFRESHED_AFTER_SECONDS = 60
MOST_REMEMBERED = 2_000
LONGEST_URL = 1_000
"""What is asked for in more words than this is not kept: its URL is remembered, and memory is bounded."""
STALE_HEADERS = ("age", "cache-status")
"""What only an answer out of the cache carries."""
_KEPT_PATHS = ("/api/products", "/api/products/{id}", "/api/categories")
_KEPT_AT = "x-kept-at-ms"
_KEPT_HEADERS = ("content-type", "etag")

_log = logging.getLogger(__name__)


class Cache(Protocol):
    """Texts with headers, by URL; it may forget any of them at any time."""

    async def find(self, url: str) -> tuple[str, Mapping[str, str]] | None:
        """The text and its headers, by lower-case name; None where there is none."""
        ...

    async def keep(self, url: str, text: str, headers: Mapping[str, str]) -> None:
        """Keep it as long as `cache-control` says."""
        ...

    async def forget(self, url: str) -> None:
        """Do not give it out any more."""
        ...


Later = Callable[[Coroutine[Any, Any, None]], None]
"""Carries on with a piece of work after the answer was sent."""


@dataclass
class Fallback:
    """Asks a service, and when it does not answer, the cache; one for each isolate."""

    cache: Cache
    later: Later
    clock: Clock

    def __post_init__(self) -> None:
        self._kept_at_ms: OrderedDict[str, int] = OrderedDict()

    async def answered(self, url: str, ask: Callable[[], Awaitable[Response]]) -> Response:
        """The service's answer, or the one that was kept; the Fault where there is neither."""
        try:
            response = await ask()
        except NotFound:
            # Another isolate may have kept it.
            self._kept_at_ms.pop(url, None)
            self.later(self._quietly(self.cache.forget(url)))
            raise
        except Fault as fault:
            kept = await self._found(url)
            if kept is None:
                raise
            _log.warning("%s: answered out of the cache", fault.code)
            return kept
        self._keep(url, response)
        return response

    def _keep(self, url: str, response: Response) -> None:
        now_ms = to_milliseconds(self.clock())
        kept_at_ms = self._kept_at_ms.get(url)
        if response.text is None or (kept_at_ms is not None and now_ms < kept_at_ms + REFRESHED_AFTER_SECONDS * 1000):
            return
        self._kept_at_ms[url] = now_ms
        self._kept_at_ms.move_to_end(url)
        if len(self._kept_at_ms) > MOST_REMEMBERED:
            self._kept_at_ms.popitem(last=False)
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        headers |= {"cache-control": f"max-age={KEPT_SECONDS}", _KEPT_AT: str(now_ms)}
        self.later(self._quietly(self.cache.keep(url, response.text, headers)))

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            _log.exception("the cache does not take what it is given")

    async def _found(self, url: str) -> Response | None:
        try:
            found = await self.cache.find(url)
            if found is None:
                return None
            text, headers = found
            age_seconds = max(0, to_milliseconds(self.clock()) - int(headers[_KEPT_AT])) // 1000
        except Exception:
            _log.exception("the cache does not answer")
            return None
        if age_seconds > KEPT_SECONDS:
            return None
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        told = {"age": str(age_seconds), "cache-status": f"pasar; hit; ttl={-age_seconds}; detail=service-unavailable"}
        return Response(200, text, kept | told)


def kept_url(
    route: Route[Any], request: Request, fields: Mapping[str, str], principal: Principal, version: str
) -> str | None:
    """Under which URL the answer is kept, the same for all who are answered the same; None where it is not.

    The version is part of it, because another one may answer in another form. The host is our own: Cloudflare asks
    not to invent one (Cache API, "how the cache works").
    """
    if route.method != "GET" or route.path not in _KEPT_PATHS:
        return None
    if principal.kind not in ("guest", "customer", "buyer"):
        return None
    market = "wholesale" if principal.kind == "buyer" else "retail"
    url = f"{request.origin}/.kept/{version}/{market}{request.path}?{urlencode(sorted(fields.items()))}"
    return url if len(url) <= LONGEST_URL else None
