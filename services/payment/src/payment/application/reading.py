"""Reading payments, and saying whether the service can work."""

import logging

from payment.application.changes import Changes
from payment.application.published import published
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.rpc import Principal

_log = logging.getLogger(__name__)


class Reading:
    """The contract's `Payments`, for one call of staff or of a service that has checked the order's owner."""

    def __init__(self, changes: Changes, principal: Principal) -> None:
        self._changes = changes
        self._principal = principal

    async def get_payment(self, request: contract.GetPayment) -> contract.Payment:
        """The payment; NotFound."""
        if self._principal.kind != "service":
            self._principal.require_staff()
        return published(await self._changes.get(request.id))

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer."""
        try:
            await self._changes.find("pay_of_nobody")
        except Exception:
            _log.exception("the database does not answer")
            return Health(status="degraded", database="unavailable")
        return Health(status="ok", database="ok")
