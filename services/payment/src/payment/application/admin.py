"""What staff do with payments: give money back, look into the books, and run webhooks again."""

from datetime import datetime

from payment.application.changes import Changes
from payment.application.ports import Ledger, RefundList, Sandbox, WebhookBook
from payment.application.published import published
from payment.application.returns import Providers, Returns, provider_named
from payment.application.webhooks import Webhooks
from payment.domain.errors import RefundNotFound
from payment.domain.payment import Payment
from payment.domain.refund import Settlement
from shared_kernel.contracts import payment as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.errors import Fault, NotFound
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Json, Principal


class Admin:
    """The contract's `Admin`, for one call of a member of staff."""

    def __init__(
        self,
        changes: Changes,
        providers: Providers,
        refunds: RefundList,
        ledger: Ledger,
        webhooks: WebhookBook,
        sandbox: Sandbox | None,
        principal: Principal,
    ) -> None:
        self._changes = changes
        self._providers = providers
        self._returns = Returns(changes, providers)
        self._refunds = refunds
        self._ledger = ledger
        self._webhooks = webhooks
        self._sandbox = sandbox
        self._principal = principal

    async def refund(self, request: contract.RefundPayment) -> contract.Refund:
        """The refund; a key stands for one refund of one payment. See the contract for what it raises."""
        self._principal.require("payments:manage")
        payment = await self._changes.get(request.payment_id)
        refund_id = derived_id("rfd", "staff", payment.id, request.idempotency_key)
        provider_named(self._providers, payment.terms.provider)
        replayed = False

        def begin(current: Payment, at: datetime) -> Payment:
            nonlocal replayed
            replayed = current.refund(refund_id) is not None
            return current.refunding(refund_id, request.amount, request.reason, at)

        begun = await self._changes.change(payment, begin, f"staff {self._principal.id}")
        done = await self._returns.complete_refund(begun, refund_id)
        return _answer(done, refund_id, replayed)

    async def list_refunds(self, request: contract.ListRefunds) -> Json:
        """A page of all refunds."""
        self._principal.require("payments:manage")
        return Json(await self._refunds.page(request))

    async def settle_refund(self, request: contract.SettleRefund) -> contract.Refund:
        """The refund as paid by hand; see the contract for what it raises."""
        self._principal.require("payments:manage")
        payment_id = await self._refunds.payment_of(request.refund_id)
        if payment_id is None:
            raise RefundNotFound("there is no such refund")
        made = Settlement(
            derived_id("stl", request.refund_id, request.idempotency_key), request.reference, request.note
        )
        replayed = False

        def settle(current: Payment, at: datetime) -> Payment:
            nonlocal replayed
            settled = current.refund_paid_by_hand(request.refund_id, made, at)
            replayed = settled is current
            return settled

        payment = await self._changes.get(payment_id)
        done = await self._changes.change(payment, settle, f"staff {self._principal.id}")
        return _answer(done, request.refund_id, replayed)

    async def get_ledger(self, request: Nothing) -> Json:
        """The balance of each account, and whether every transfer balances."""
        self._principal.require("payments:manage")
        return Json(await self._ledger.balances())

    async def list_webhooks(self, request: contract.ListWebhooks) -> Json:
        """A page of the kept webhooks, newest first, without their bodies."""
        self._principal.require("payments:manage")
        return Json(await self._webhooks.page(request))

    async def run_webhook(self, request: contract.RunWebhook) -> contract.WebhookReceipt:
        """The webhook with its effect; see the contract for what it raises."""
        self._principal.require("payments:manage")
        return await Webhooks(self._webhooks, self._changes, self._providers).run(request.id)

    async def list_sandbox_charges(self, request: Nothing) -> Json:
        """The sandbox provider's own book; NotFound where there is no sandbox."""
        self._principal.require("payments:manage")
        if self._sandbox is None:
            raise NotFound("there is no sandbox here")
        return Json(await self._sandbox.charges())


def _answer(payment: Payment, refund_id: str, replayed: bool) -> contract.Refund:
    refund = payment.refund(refund_id)
    if refund is None:
        raise Fault("a refund that was begun is not recorded")
    return contract.Refund(
        id=refund.id,
        amount=refund.amount,
        reason=refund.reason,
        status=refund.status,
        kind=refund.kind,
        paid_by_hand=None if refund.settlement is None else refund.settlement.reference,
        payment=published(payment),
        replayed=replayed,
    )
