"""What staff do with payments: give money back, and look into the sandbox's book."""

from datetime import datetime

from payment.application.changes import Changes
from payment.application.ports import SandboxBook
from payment.application.published import published
from payment.application.returns import Providers, Returns, provider_named
from payment.domain.payment import Payment, Refund
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Fault, NotFound
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Json, Principal


class Admin:
    """The contract's `Admin`, for one call of a member of staff."""

    def __init__(
        self, changes: Changes, providers: Providers, sandbox: SandboxBook | None, principal: Principal
    ) -> None:
        self._changes = changes
        self._providers = providers
        self._returns = Returns(changes, providers)
        self._sandbox = sandbox
        self._principal = principal

    async def refund(self, request: contract.RefundPayment) -> contract.Refund:
        """The refund; a key stands for one refund of one payment. See the contract for what it raises."""
        self._principal.require_staff()
        payment = await self._changes.get(request.payment_id)
        refund_id = derived_id("rfd", "staff", payment.id, request.idempotency_key)
        provider_named(self._providers, payment.terms.provider)
        replayed = False

        def begin(current: Payment, at: datetime) -> Payment:
            nonlocal replayed
            replayed = current.refund(refund_id) is not None
            return current.refunding(refund_id, request.amount, request.reason, at)

        begun = await self._changes.change(payment, begin)
        done = await self._returns.complete_refund(begun, refund_id)
        refund = done.refund(refund_id)
        if refund is None or refund.status != "succeeded":
            raise Fault("a refund that was completed is not recorded")
        return _answer(refund, published(done), replayed)

    async def list_sandbox_charges(self, request: Nothing) -> Json:
        """The sandbox provider's own book; NotFound where there is no sandbox."""
        self._principal.require_staff()
        if self._sandbox is None:
            raise NotFound("there is no sandbox here")
        return Json(await self._sandbox.charges())


def _answer(refund: Refund, payment: contract.Payment, replayed: bool) -> contract.Refund:
    return contract.Refund(
        id=refund.id,
        amount=refund.amount,
        reason=refund.reason,
        status="succeeded",
        payment=payment,
        replayed=replayed,
    )
