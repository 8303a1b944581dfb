"""The route that tells whether the system can do its work."""

from collections.abc import Mapping
from typing import Protocol

from gateway.answers import HealthReport, PartHealth, ServiceHealth
from gateway.exchange import timing_name
from gateway.http import Response, json_of
from gateway.identity import GATEWAY
from gateway.inspection import Look
from gateway.routing import Access, Asked, Route
from gateway.services import BINDINGS
from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.inventory import Stock
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.contracts.order import Orders
from shared_kernel.contracts.payment import Payments
from shared_kernel.contracts.product import Catalogue
from shared_kernel.contracts.user import Accounts
from shared_kernel.result import Ok, decode
from shared_kernel.rpc import Call, CircuitBreaker

_PATIENCE_MS = 3_000


class _Watched(Protocol):
    async def health(self, request: Nothing) -> Health: ...


WATCHED: Mapping[str, type[_Watched]] = {
    "product": Catalogue,
    "inventory": Stock,
    "payment": Payments,
    "user": Accounts,
    "order": Orders,
}


async def get_health(asked: Asked[Nothing]) -> Response:
    """How every part is: they are all asked at once, and waited for 3 s together."""
    now_ms = to_milliseconds(asked.services.clock())
    call = Call(principal=GATEWAY, traceparent=asked.services.traceparent, deadline_ms=now_ms + _PATIENCE_MS)
    bindings = {name: BINDINGS[contract] for name, contract in WATCHED.items()}
    looks = await asked.parts.look(bindings, call.model_dump_json(), _PATIENCE_MS)
    services = {name: _service(name, looks[name], asked.parts.breakers, now_ms) for name in WATCHED}
    parts = {
        name: PartHealth(status=status, response_time_ms=took_ms)
        for name, (status, took_ms, _) in looks.items()
        if name not in WATCHED
    }
    # Only the local environment has a secret of the gateway's own.
    lacks_secret = asked.settings.environment == "local" and not asked.settings.staff_token
    statuses = [service.status for service in services.values()] + [part.status for part in parts.values()]
    is_well = not lacks_secret and all(status == "ok" for status in statuses)
    report = HealthReport(
        status="ok" if is_well else "degraded",
        version=asked.settings.version,
        environment=asked.settings.environment,
        secrets="missing" if lacks_secret else "ok",
        services=services,
        bindings=parts,
    )
    return json_of(report, 200 if is_well else 503)


def _service(service: str, look: Look, breakers: Mapping[str, CircuitBreaker], now_ms: int) -> ServiceHealth:
    status, took_ms, text = look
    told = Health(status=status) if text is None else _told(text)
    circuits = {
        timing_name(binding): breaker.state(now_ms)
        for binding, breaker in breakers.items()
        if binding.partition("_")[0].lower() == service
    }
    return ServiceHealth(**told.model_dump(), response_time_ms=took_ms, circuits=circuits)


def _told(text: str) -> Health:
    try:
        result = decode(text)
        if isinstance(result, Ok):
            return Health.model_validate_json(result.json)
    except ValueError:
        return Health(status="not_understood")
    return Health(status=result.code)


ROUTES = (
    Route(
        "GET",
        "/health",
        Access.PUBLIC,
        get_health,
        Nothing,
        "Whether every part is well; 503 when one is not",
        output=HealthReport,
        same_output=(503,),
    ),
)
