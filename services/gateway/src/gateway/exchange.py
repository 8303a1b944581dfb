"""One request while it is answered: what its log line and its response's headers tell of it in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.http import Request
from gateway.identity import GUEST
from gateway.routing import Settings
from shared_kernel.rpc import CircuitBreaker, Principal

_LONGEST_METHOD = 20


@dataclass
class Exchange:
    """The request and what becomes known on the way.

    `route` is the route's template, because a path may hold what must not be logged.

    `headers` go with the response, whatever it is. `problem` is the code of the refusal or fault.
    """

    request: Request
    settings: Settings
    traceparent: str
    started_ms: int
    route: str | None = None
    principal: Principal = GUEST
    timings: list[tuple[str, int]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    problem: str | None = None

    def server_timing(self, breakers: Mapping[str, CircuitBreaker], now_ms: int) -> str:
        """The calls that were made and their milliseconds; a circuit that is not closed is said in the description."""
        circuits = {timing_name(binding): breaker.state(now_ms) for binding, breaker in breakers.items()}
        entries = []
        for name, took_ms in (*self.timings, ("total", now_ms - self.started_ms)):
            state = circuits.get(name, "closed")
            entries.append(f"{name};dur={took_ms}" + ("" if state == "closed" else f';desc="{state}"'))
        return ", ".join(entries)

    def log_fields(self, status: int, now_ms: int) -> dict[str, object]:
        """What the log tells of the request: no token, no address, no query, nothing of the body."""
        told: dict[str, object] = {
            "method": self.request.method[:_LONGEST_METHOD],
            "route": self.route,
            "status": status,
            "duration_ms": now_ms - self.started_ms,
            "principal_kind": self.principal.kind,
            "principal_id": self.principal.id,
        }
        if self.problem is not None:
            told["problem"] = self.problem
        if "cache-status" in self.headers:
            told["stale_seconds"] = int(self.headers["age"])
        return told


def timing_name(binding: str) -> str:
    """A binding's name in `server-timing`."""
    return binding.lower().replace("_", "-")
