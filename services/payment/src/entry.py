"""The payment Worker: its entrypoints, wired by hand."""

from collections import defaultdict
from functools import cache
from typing import Any

from workers import WorkerEntrypoint

from payment.application.admin import Admin as AdminOfPayments
from payment.application.changes import Changes
from payment.application.charges import Charges as ChargesOfPayments
from payment.application.ports import PaymentProvider
from payment.application.reading import Reading
from payment.application.reconciliation import reconcile
from payment.application.webhooks import Webhooks as WebhooksOfProviders
from payment.application.webhooks import forget_bodies
from payment.infrastructure.d1 import D1Payments
from payment.infrastructure.d1_ledger import D1Ledger
from payment.infrastructure.d1_refunds import D1Refunds
from payment.infrastructure.d1_webhooks import D1Webhooks
from payment.infrastructure.fetch import FetchHttp
from payment.infrastructure.http_calls import Calls
from payment.infrastructure.providers import configured
from payment.infrastructure.sandbox import SandboxProvider
from payment.infrastructure.sandbox_bank import SandboxBank
from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import (
    D1,
    bindings,
    log_to_console,
    optional_setting,
    pause,
    send_outbox,
    setting,
    wait_until,
)
from shared_kernel.contracts import payment as contract
from shared_kernel.rpc import Call, CircuitBreaker, serves
from shared_kernel.tracing import next_traceparent

log_to_console()

# One for each provider and isolate: what one request learns of a provider, the next ones know.
_BREAKERS: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)


def _database() -> D1:
    return D1(bindings().DB)


def _changes(traceparent: str) -> Changes:
    return Changes(D1Payments(_database()), lambda: wait_until(send_outbox(_database())), system_clock, traceparent)


def _sandbox() -> SandboxProvider | None:
    if setting("SANDBOX") != "enabled":
        return None
    # No money moves at the sandbox and its webhook is only a reason to look, so a known secret does until one is set.
    secret = optional_setting("SANDBOX_WEBHOOK_SECRET") or "sandbox"
    return SandboxProvider(SandboxBank(_database(), secret, system_clock), secret)


def _calls(provider: str) -> Calls:
    return Calls(FetchHttp(), provider, _BREAKERS[provider], system_clock, pause)


@cache
def _outside_providers() -> dict[str, PaymentProvider]:
    # Kept, so that an access token that one of them was given serves until it ends; none holds anything of JavaScript.
    return configured(optional_setting, _calls, system_clock)


def _providers() -> dict[str, PaymentProvider]:
    sandbox = _sandbox()
    return _outside_providers() | ({} if sandbox is None else {"sandbox": sandbox})


def _webhooks(changes: Changes) -> WebhooksOfProviders:
    return WebhooksOfProviders(D1Webhooks(_database()), changes, _providers())


def _reading(call: Call) -> Reading:
    changes = _changes(call.traceparent)
    return Reading(changes, _providers(), _webhooks(changes), _sandbox(), call.principal)


def _admin(call: Call) -> AdminOfPayments:
    database = _database()
    refunds, ledger, webhooks = D1Refunds(database), D1Ledger(database), D1Webhooks(database)
    changes = _changes(call.traceparent)
    return AdminOfPayments(changes, _providers(), refunds, ledger, webhooks, _sandbox(), call.principal)


def _charges(call: Call) -> ChargesOfPayments:
    return ChargesOfPayments(_changes(call.traceparent), _providers(), call.principal)


@serves(contract.Payments, _reading)
class Default(WorkerEntrypoint):
    """Reading, for the gateway; and the cron."""

    async def scheduled(self, controller: Any, env: Any = None, ctx: Any = None) -> None:
        """Bring on what waits for something, send what is still in the outbox, forget what webhooks said long ago."""
        changes = _changes(next_traceparent(None))
        try:
            await _webhooks(changes).run_due()
        finally:
            try:
                await reconcile(D1Payments(_database()), changes, _providers())
            finally:
                await send_outbox(_database())
        await forget_bodies(D1Webhooks(_database()), system_clock(), int(setting("WEBHOOK_BODY_DAYS")))


@serves(contract.Admin, _admin)
class Admin(WorkerEntrypoint):
    """For staff, through the gateway."""


@serves(contract.Charges, _charges)
class Charges(WorkerEntrypoint):
    """For the order saga."""


@serves(contract.Webhooks, lambda call: _webhooks(_changes(call.traceparent)))
class Webhooks(WorkerEntrypoint):
    """For what the providers send, through the gateway."""
