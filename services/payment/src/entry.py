"""The payment Worker: its entrypoints, wired by hand."""

from typing import Any

from workers import WorkerEntrypoint

from payment.application.admin import Admin as AdminOfPayments
from payment.application.changes import Changes
from payment.application.charges import Charges as ChargesOfPayments
from payment.application.reading import Reading
from payment.application.returns import Providers, Returns
from payment.application.sweep import sweep
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.sandbox import SandboxProvider
from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import D1, bindings, log_to_console, send_outbox, setting, wait_until
from shared_kernel.contracts import payment as contract
from shared_kernel.rpc import Call, serves
from shared_kernel.tracing import next_traceparent

log_to_console()


def _database() -> D1:
    return D1(bindings().DB)


def _changes(traceparent: str) -> Changes:
    return Changes(D1Payments(_database()), lambda: wait_until(send_outbox(_database())), system_clock, traceparent)


def _sandbox() -> SandboxProvider | None:
    return SandboxProvider(_database()) if setting("SANDBOX") == "enabled" else None


def _providers() -> Providers:
    sandbox = _sandbox()
    return {} if sandbox is None else {"sandbox": sandbox}


def _reading(call: Call) -> Reading:
    return Reading(_changes(call.traceparent), call.principal)


def _admin(call: Call) -> AdminOfPayments:
    return AdminOfPayments(_changes(call.traceparent), _providers(), _sandbox(), call.principal)


def _charges(call: Call) -> ChargesOfPayments:
    return ChargesOfPayments(_changes(call.traceparent), _providers(), call.principal)


@serves(contract.Payments, _reading)
class Default(WorkerEntrypoint):
    """Reading, for the gateway; and the cron."""

    async def scheduled(self, controller: Any, env: Any = None, ctx: Any = None) -> None:
        """Finish what a crash left half done, then send what is still in the outbox."""
        changes = _changes(next_traceparent(None))
        try:
            await sweep(D1Payments(_database()), changes, Returns(changes, _providers()))
        finally:
            await send_outbox(_database())


@serves(contract.Admin, _admin)
class Admin(WorkerEntrypoint):
    """For staff, through the gateway."""


@serves(contract.Charges, _charges)
class Charges(WorkerEntrypoint):
    """For the order saga."""
