"""A look at the gateway's bindings: all of them are asked at once, so the slowest decides how long it takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import js
from pyodide.ffi import JsException, to_js

from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.cloudflare import bindings, js_value
from shared_kernel.rpc import CircuitBreaker

_CACHE = "CACHE"
_ASSETS = "ASSETS"
_ASSET = "https://assets.invalid/docs/swagger-ui.css"
_Look = tuple[str, int, str | None]


@dataclass(frozen=True)
class WorkerParts:
    """The bindings of this Worker; `limiters` are the names of those that limit rates."""

    breakers: Mapping[str, CircuitBreaker]
    limiters: Sequence[str]

    async def look(self, services: Mapping[str, str], call: str, timeout_ms: int) -> Mapping[str, _Look]:
        """How every part is, and what the services say of their health."""
        needed = {**services, **{name: name for name in (*self.limiters, _ASSETS)}}
        env = bindings()
        missing = {name for name, binding in needed.items() if getattr(env, binding, None) is None}
        tries: dict[str, Callable[[], Any]] = {_CACHE: _try_cache, _ASSETS: _try_assets}
        tries |= {name: partial(_try_limiter, name) for name in self.limiters}
        tries |= {name: partial(_try_service, binding, call) for name, binding in services.items()}
        looks: dict[str, _Look] = dict.fromkeys(missing, ("missing", 0, None))
        return looks | await _settled({name: ask for name, ask in tries.items() if name not in missing}, timeout_ms)


def _try_service(binding: str, call: str) -> Any:
    return getattr(bindings(), binding).health(call, "{}")


def _try_limiter(binding: str) -> Any:
    return getattr(bindings(), binding).limit(js_value({"key": "health"}))


def _try_cache() -> Any:
    return js.caches.default.match("https://gateway.invalid/.kept/health")


def _try_assets() -> Any:
    return bindings().ASSETS.fetch(js.Request.new(_ASSET, js_value({"method": "HEAD"})))


async def _settled(tries: Mapping[str, Callable[[], Any]], timeout_ms: int) -> dict[str, _Look]:
    """What becomes of all these promises, which are made at once, within the timeout."""
    started_ms = _now_ms()
    took_ms: dict[str, int] = {}

    def noting(name: str) -> Callable[[Any], Any]:
        def note(answer: Any) -> Any:
            took_ms[name] = _now_ms() - started_ms
            return answer

        return note

    cancel = js.AbortController.new()
    timeout = js.scheduler.wait(timeout_ms, js_value({"signal": cancel.signal}))
    promises = [js.Promise.race(to_js([_promise(ask).then(noting(name)), timeout])) for name, ask in tries.items()]
    outcomes = await js.Promise.allSettled(to_js(promises))
    cancel.abort()
    return {
        name: _look(outcome, took_ms.get(name), _now_ms() - started_ms)
        for name, outcome in zip(tries, outcomes, strict=True)
    }


def _promise(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except JsException as failure:
        return js.Promise.reject(js.Error.new(str(failure)))


def _look(outcome: Any, took_ms: int | None, waited_ms: int) -> _Look:
    if outcome.status != "fulfilled":
        return "failed", waited_ms, None
    if took_ms is None:
        return "timeout", waited_ms, None
    return "ok", took_ms, outcome.value if isinstance(outcome.value, str) else None


def _now_ms() -> int:
    return to_milliseconds(system_clock())
