"""The product Worker: which adapter serves which contract."""

from workers import WorkerEntrypoint

from product.application.admin import Admin as AdminUseCases
from product.application.catalogue import Catalogue
from product.application.pricing import Pricing as PricingUseCases
from product.infrastructure.d1 import D1Categories, D1Products, D1Shelf
from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import D1, bindings, log_to_console, send_outbox, wait_until
from shared_kernel.contracts import product as contract
from shared_kernel.rpc import Call, serves

log_to_console()


def _catalogue(call: Call) -> Catalogue:
    database = D1(bindings().DB)
    return Catalogue(D1Products(database), D1Shelf(database), call.principal)


def _admin(call: Call) -> AdminUseCases:
    database = D1(bindings().DB)
    return AdminUseCases(
        D1Products(database), D1Categories(database), call, system_clock, lambda: wait_until(_send_events())
    )


def _pricing(_call: Call) -> PricingUseCases:
    return PricingUseCases(D1Products(D1(bindings().DB)))


async def _send_events() -> None:
    await send_outbox(D1(bindings().DB))


@serves(contract.Catalogue, _catalogue)
class Default(WorkerEntrypoint):
    """The catalogue for its readers; the cron sends the events that a crash left behind."""

    async def scheduled(self, controller: object, env: object = None, ctx: object = None) -> None:
        """Send what waits in the outbox."""
        await _send_events()


@serves(contract.Admin, _admin)
class Admin(WorkerEntrypoint):
    """The care of the catalogue, for staff."""


@serves(contract.Pricing, _pricing)
class Pricing(WorkerEntrypoint):
    """Prices for the order service."""
