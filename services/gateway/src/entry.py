"""The gateway's composition root: the JavaScript request in, the JavaScript response out."""

import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import js
from pyodide.ffi import JsException, jsnull
from workers import WorkerEntrypoint

from gateway.app import Gateway, Surroundings
from gateway.cache import Fallback
from gateway.http import Request, Response, split_url
from gateway.identity import Callers
from gateway.infrastructure.edge import EdgeCache, is_within_limit, limiter_of, verify_ed25519
from gateway.infrastructure.parts import WorkerParts
from gateway.limits import Limits, Quota
from gateway.routes import ROUTES
from gateway.routing import LIMITS, Limit, Settings
from gateway.services import BINDINGS, Contract, circuits
from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import (
    bindings,
    js_value,
    log_to_console,
    optional_setting,
    setting,
    text_members,
    transport,
    wait_until,
)
from shared_kernel.rpc import Call, CircuitBreaker, remote

log_to_console()
_log = logging.getLogger(__name__)

# Who sends a part of a body and then nothing would otherwise hold it in memory, as often as he likes, for ever.
_BODY_COMES_WITHIN_MS = 10_000
# What a chunk costs to take hardly depends on its size, and those that workerd gives of itself are small.
_LARGEST_CHUNK_BYTES = 65_536

# Each for its binding and this isolate: what one request learns of a service, the next ones know.
_BREAKERS = circuits()


def _connect(contract: type[Contract], call: Call, observe: Callable[[int], None]) -> Contract:
    binding = BINDINGS[contract]
    service = getattr(bindings(), binding)
    return remote(contract, transport(service), call, _BREAKERS.get(binding) or CircuitBreaker(), observe=observe)


_GATEWAY = Gateway(
    ROUTES,
    _connect,
    Surroundings(
        callers=Callers(verify_ed25519),
        limits=Limits(is_within_limit, system_clock),
        fallback=Fallback(EdgeCache(), wait_until, system_clock),
        parts=WorkerParts(_BREAKERS, [limiter_of(limit) for limit in LIMITS]),
    ),
    system_clock,
)


class _Stream:
    """A request's body, read chunk by chunk, no further than its reader wants and for no longer than it may take."""

    def __init__(self, stream: Any) -> None:
        self._reader: Any = None
        if stream is jsnull:
            return
        # A timer for each chunk would cost more than to read it.
        in_time = js_value({"signal": js.AbortSignal.timeout(_BODY_COMES_WITHIN_MS)})
        body = stream.pipeThrough(js.IdentityTransformStream.new(), in_time)
        self._reader = body.getReader(js_value({"mode": "byob"}))

    async def read(self, limit_bytes: int) -> bytes | None:
        chunks: list[bytes] = []
        size_bytes = 0
        while (chunk := await self._next()) is not None:
            size_bytes += chunk.byteLength
            if size_bytes > limit_bytes:
                return None
            chunks.append(chunk.to_bytes())
        return b"".join(chunks)

    async def discard(self, limit_bytes: int) -> None:
        size_bytes = 0
        while size_bytes <= limit_bytes and (chunk := await self._next()) is not None:
            size_bytes += chunk.byteLength

    async def _next(self) -> Any:
        """The next chunk, None after the last."""
        if self._reader is None:
            return None
        try:
            part = await self._reader.read(js.Uint8Array.new(_LARGEST_CHUNK_BYTES))
        except JsException as failure:
            self._reader = None
            raise ConnectionError(str(failure)) from failure
        if part.done:
            self._reader = None
            return None
        return part.value


class Default(WorkerEntrypoint):
    """What the internet reaches."""

    async def fetch(self, request: Any) -> Any:
        """Answer one HTTP request."""
        # The SDK's request would read all headers into an email message; the raw one is asked for each.
        raw = request.js_object
        headers = raw.headers

        def header(name: str) -> str | None:
            value = headers.get(name)
            return None if value is jsnull else str(value)

        origin, path, query = split_url(raw.url)
        header_count = getattr(js.Array, "from")(headers.keys()).length
        asked = Request(
            raw.method, path, query, header, _Stream(raw.body), partial(text_members, headers), origin, header_count
        )
        return await _to_js(await _GATEWAY.handle(asked, _settings()))


@cache
def _settings() -> Settings:
    """Read once for each isolate, which a new deployment replaces: each look at a setting costs 40 microseconds."""
    return Settings(
        setting("ENVIRONMENT"),
        setting("VERSION"),
        setting("CORS_ORIGINS"),
        optional_setting("STAFF_TOKEN"),
        setting("TOKEN_ISSUER"),
        _quotas(),
    )


def _quotas() -> Mapping[Limit, Quota]:
    quotas: dict[Limit, Quota] = {}
    for limit in LIMITS:
        try:
            quotas[limit] = Quota.of(setting(f"{limiter_of(limit)}_QUOTA"))
        except (KeyError, ValueError):
            # As with a limiter that is broken: the shop stays open.
            _log.exception("requests of the class %s are not limited", limit)
    return quotas


async def _to_js(response: Response) -> Any:
    body: Any = response.text
    if response.file is not None:
        found = await bindings().ASSETS.fetch(f"https://assets.invalid{response.file}")
        if found.status != 200:
            _log.error("the static file %s is missing", response.file)
            return js.Response.new(None, js_value({"status": 503, "headers": {"retry-after": "60"}}))
        body = found.body
    return js.Response.new(body, js_value({"status": response.status, "headers": dict(response.headers)}))
