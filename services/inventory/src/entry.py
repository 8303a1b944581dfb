"""The inventory Worker's entrypoints, and what their use cases are made of."""

from workers import WorkerEntrypoint

from inventory.application.admin import Admin as AdminUseCases
from inventory.application.availability import Stock
from inventory.application.expiry import sweep
from inventory.application.reservations import Reservations as ReservationUseCases
from inventory.infrastructure.d1 import D1Reservations, D1Stock, D1Warehouses
from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import D1, bindings, log_to_console, send_outbox, setting, wait_until
from shared_kernel.contracts import inventory as contract
from shared_kernel.rpc import Call, serves

log_to_console()


def _database() -> D1:
    return D1(bindings().DB)


def _publish() -> None:
    wait_until(send_outbox(_database()))


def _stock(call: Call) -> Stock:
    return Stock(D1Stock(_database()), call, system_clock)


def _admin(call: Call) -> AdminUseCases:
    database = _database()
    return AdminUseCases(
        D1Warehouses(database), D1Stock(database), D1Reservations(database), call, system_clock, _publish
    )


def _reservations(call: Call) -> ReservationUseCases:
    hold_seconds = int(setting("HOLD_SECONDS"))
    return ReservationUseCases(D1Reservations(_database()), call, system_clock, hold_seconds, _publish)


@serves(contract.Stock, _stock)
class Default(WorkerEntrypoint):
    """What anyone may read, and the cron."""

    async def scheduled(self, controller: object, env: object = None, ctx: object = None) -> None:
        """Each minute: end the holds that have run out, and send what waits in the outbox."""
        try:
            await sweep(D1Reservations(_database()), system_clock)
        finally:
            await send_outbox(_database())


@serves(contract.Admin, _admin)
class Admin(WorkerEntrypoint):
    """What staff may do."""


@serves(contract.Reservations, _reservations)
class Reservations(WorkerEntrypoint):
    """What the order service may do."""
