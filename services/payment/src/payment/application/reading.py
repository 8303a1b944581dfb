"""Reading payments, paying at the sandbox, and saying whether the service can work."""

import logging

from payment.application.changes import Changes
from payment.application.ports import Sandbox
from payment.application.published import published
from payment.application.returns import Providers
from payment.application.webhooks import Webhooks
from payment.domain.payment import Payment
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.errors import NotFound
from shared_kernel.rpc import Principal

_log = logging.getLogger(__name__)


class Reading:
    """The contract's `Payments`, for one call of staff or of a service that has checked the order's owner."""

    def __init__(
        self,
        changes: Changes,
        providers: Providers,
        webhooks: Webhooks,
        sandbox: Sandbox | None,
        principal: Principal,
    ) -> None:
        self._changes = changes
        self._providers = providers
        self._webhooks = webhooks
        self._sandbox = sandbox
        self._principal = principal

    async def get_payment(self, request: contract.GetPayment) -> contract.Payment:
        """The payment; NotFound."""
        return published(await self._readable(request.id))

    async def settle_sandbox_payment(self, request: contract.SettleSandboxPayment) -> contract.Payment:
        """The payment after its customer paid at the sandbox, or failed to; see the contract for what it raises."""
        payment = await self._readable(request.payment_id)
        if self._sandbox is None or payment.terms.provider != "sandbox":
            raise NotFound("the sandbox has no such payment", code="payment_not_found")
        await self._webhooks.take(await self._sandbox.settle(payment.charge, request.outcome))
        return published(await self._changes.get(payment.id))

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer, and which providers it can use."""
        providers = sorted(self._providers)
        started_ms = to_milliseconds(system_clock())
        try:
            await self._changes.find("pay_of_nobody")
        except Exception:
            _log.exception("the database does not answer")
            return Health(status="degraded", database="unavailable", providers=providers)
        database_ms = to_milliseconds(system_clock()) - started_ms
        return Health(status="ok", database="ok", database_ms=database_ms, providers=providers)

    async def _readable(self, payment_id: str) -> Payment:
        if self._principal.kind != "service":
            self._principal.require("payments:manage")
        return await self._changes.get(payment_id)
