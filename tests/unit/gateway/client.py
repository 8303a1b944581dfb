"""A client of a gateway whose services are the fake shop: plain calls in, plain responses out."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.app import Gateway, Surroundings
from gateway.cache import Fallback
from gateway.http import Request, Response
from gateway.identity import Callers
from gateway.limits import Limits
from gateway.routes import ROUTES
from gateway.routing import Settings
from shared_kernel.clock import Clock, system_clock
from shared_kernel.rpc import CircuitBreaker
from tests.unit.gateway.edge import FakeCache, FakeLimiter, FakeParts
from tests.unit.gateway.shop import Shop
from tests.unit.gateway.signing import ISSUER, verify

STAFF_TOKEN = "a-staff-token"
# The staff token counts in the local environment alone.
SETTINGS = Settings("local", "1.2.3", cors_origins="*", staff_token=STAFF_TOKEN, token_issuer=ISSUER)


@dataclass
class Chunks:
    """A body that comes in chunks; `taken` counts the bytes that were asked for, `kept` the most held at once."""

    chunks: Sequence[bytes]
    breaks_off: bool = False
    taken: int = 0
    kept: int = 0

    async def read(self, limit_bytes: int) -> bytes | None:
        """All of it, or None as soon as there is more than the limit."""
        body = b""
        while self.chunks:
            body += self._next()
            if len(body) > limit_bytes:
                return None
            self.kept = len(body)
        if self.breaks_off:
            raise ConnectionError("gone")
        return body

    async def discard(self, limit_bytes: int) -> None:
        """Take what is left, a little more than the limit at most."""
        size = 0
        while self.chunks and size <= limit_bytes:
            size += len(self._next())

    def _next(self) -> bytes:
        chunk, *self.chunks = self.chunks
        self.taken += len(chunk)
        return chunk


@dataclass
class Client:
    """Asks one gateway; what it is given as `json` it sends as a JSON body."""

    shop: Shop = field(default_factory=Shop)
    settings: Settings = SETTINGS
    clock: Clock = system_clock
    limiter: FakeLimiter = field(default_factory=FakeLimiter)
    cache: FakeCache = field(default_factory=FakeCache)
    breakers: dict[str, CircuitBreaker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = FakeParts(self.shop, self.breakers)
        self._later: list[Coroutine[Any, Any, None]] = []
        surroundings = Surroundings(
            callers=Callers(verify, self._now),
            limits=Limits(self.limiter.allows, self._now),
            fallback=Fallback(self.cache, self._later.append, self._now),
            parts=self.parts,
        )
        self._gateway = Gateway(ROUTES, self.shop.connect, surroundings, self._now)

    def ask(
        self,
        method: str,
        target: str,
        *,
        json_body: Any = None,
        body: bytes | Chunks = b"",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request and its response; what the gateway does after the answer is done too."""
        sent = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
        if body and "content-type" not in sent:
            sent["content-type"] = "application/json"
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        path, _, query = target.partition("?")
        chunks = body if isinstance(body, Chunks) else Chunks([body])
        request = Request(method, path, query, sent.get, chunks, lambda: sent, header_count=len(sent))
        return asyncio.run(self._answered(request))

    def as_staff(self, method: str, target: str, **given: Any) -> Response:
        """One request with the staff token."""
        return self.ask(method, target, token=STAFF_TOKEN, **given)

    async def _answered(self, request: Request) -> Response:
        response = await self._gateway.handle(request, self.settings)
        while self._later:
            await self._later.pop(0)
        return response

    def _now(self) -> Any:
        return self.clock()


def told(response: Response) -> Any:
    """The response's JSON."""
    assert response.text is not None
    return json.loads(response.text)


def problem_of(response: Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, which must be of this status and code and have the form that RFC 9457 gives it."""
    problem: dict[str, Any] = told(response)
    assert (response.status, problem["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"/problems/{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["trace_id"] == response.headers["traceparent"].split("-")[1]
    return problem
