"""The gateway's composition root: the JavaScript request in, the JavaScript response out."""

import json
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import JsException, jsnull, to_js
from workers import WorkerEntrypoint

from gateway.app import Gateway
from gateway.http import Request, Response, split_url
from gateway.routes import ROUTES
from gateway.routing import Settings
from gateway.services import BINDINGS, Contract
from shared_kernel.cloudflare import bindings, log_to_console, setting, transport
from shared_kernel.rpc import Call, CircuitBreaker, remote

log_to_console()

# One for each binding and isolate: what one request learns of a service, the next ones know.
_BREAKERS = {binding: CircuitBreaker() for binding in BINDINGS.values()}


def _connect(contract: type[Contract], call: Call, observe: Callable[[int], None]) -> Contract:
    binding = BINDINGS[contract]
    service = getattr(bindings(), binding)
    return remote(contract, transport(service), call, _BREAKERS[binding], observe=observe)


_GATEWAY = Gateway(ROUTES, _connect)


class _Stream:
    """A request's body, read chunk by chunk and no further than its reader wants."""

    def __init__(self, stream: Any) -> None:
        self._reader = None if stream is jsnull else stream.getReader()

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
            part = await self._reader.read()
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

        def all_headers() -> dict[str, str]:
            named: dict[str, str] = json.loads(js.JSON.stringify(js.Object.fromEntries(headers)))
            return named

        path, query = split_url(raw.url)
        asked = Request(raw.method, path, query, header, _Stream(raw.body), all_headers)
        return _to_js(await _GATEWAY.handle(asked, _settings()))


def _settings() -> Settings:
    try:
        staff_token = setting("STAFF_TOKEN")
    except KeyError:
        staff_token = None
    return Settings(setting("ENVIRONMENT"), setting("VERSION"), setting("CORS_ORIGINS"), staff_token)


def _to_js(response: Response) -> Any:
    init = {"status": response.status, "headers": dict(response.headers)}
    return js.Response.new(response.text, to_js(init, dict_converter=js.Object.fromEntries))
