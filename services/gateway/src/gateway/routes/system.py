"""The route that tells whether the system can do its work."""

from typing import Protocol

from gateway.answers import HealthReport, ServiceHealth
from gateway.http import Response, json_of
from gateway.identity import GATEWAY
from gateway.routing import Access, Asked, Route
from gateway.services import Services
from shared_kernel.clock import to_milliseconds
from shared_kernel.contracts.inventory import Stock
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.contracts.order import Orders
from shared_kernel.contracts.payment import Payments
from shared_kernel.contracts.product import Catalogue
from shared_kernel.errors import DomainError

_PATIENCE_MS = 3_000


class _Watched(Protocol):
    async def health(self, request: Nothing) -> Health: ...


_WATCHED: dict[str, type[_Watched]] = {
    "product": Catalogue,
    "inventory": Stock,
    "payment": Payments,
    "order": Orders,
}


async def get_health(asked: Asked[Nothing]) -> Response:
    """How every service is, asked one after the other."""
    services = {name: await _health(asked.services, contract) for name, contract in _WATCHED.items()}
    has_secret = bool(asked.settings.staff_token)
    is_well = has_secret and all(service.status == "ok" for service in services.values())
    report = HealthReport(
        status="ok" if is_well else "degraded",
        version=asked.settings.version,
        environment=asked.settings.environment,
        secrets="ok" if has_secret else "missing",
        services=services,
    )
    return json_of(report, 200 if is_well else 503)


async def _health(services: Services, contract: type[_Watched]) -> ServiceHealth:
    started_ms = to_milliseconds(services.clock())
    try:
        told = await services.ask(contract, GATEWAY, _PATIENCE_MS).health(Nothing())
    except DomainError as failure:
        told = Health(status=failure.code)
    return ServiceHealth(
        status=told.status,
        database=told.database,
        secrets=told.secrets,
        providers=told.providers,
        response_time_ms=to_milliseconds(services.clock()) - started_ms,
    )


ROUTES = (
    Route(
        "GET",
        "/health",
        Access.ANYONE,
        get_health,
        Nothing,
        "Whether every service is well; 503 when one is not",
        output=HealthReport,
    ),
)
