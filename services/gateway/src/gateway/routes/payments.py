"""The routes of payments: reading one, giving money back, what is due, the ledger, and the sandbox provider."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from gateway.answers import Ledger, RefundPage, SandboxChargeList
from gateway.http import Response, json_of, json_text
from gateway.identity import GATEWAY
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Line, Nothing, ReasonText
from shared_kernel.contracts.order import GetOrder, Orders
from shared_kernel.contracts.payment import (
    Admin,
    GetPayment,
    ListRefunds,
    Payment,
    Payments,
    Refund,
    RefundPayment,
    SettleRefund,
    SettleSandboxPayment,
)
from shared_kernel.errors import NotFound
from shared_kernel.money import Money


class RefundRequest(BaseModel):
    """How much of a payment to give back, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Money
    reason: ReasonText


class SettlementRequest(BaseModel):
    """Where the payment is found by which a refund was paid by hand, and what else is to be said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: Line
    note: ReasonText | None = None


async def get_payment(asked: Asked[Nothing]) -> Response:
    """One payment, for staff and for whoever may see its order."""
    return json_of(await _visible_payment(asked))


async def _visible_payment(asked: Asked[Nothing]) -> Payment:
    which = GetPayment(id=asked.path["id"])
    if asked.principal.may("payments:manage"):
        return await asked.ask(Payments).get_payment(which)
    try:
        payment = await asked.services.ask(Payments, GATEWAY).get_payment(which)
        await asked.ask(Orders).get_order(GetOrder(id=payment.order_id))
    except NotFound:
        # One answer for both, so that nobody learns from it which payments there are.
        raise NotFound("there is no such payment", code="payment_not_found") from None
    return payment


async def refund(asked: Asked[RefundRequest]) -> Response:
    """A part of a payment, or all of it, is given back; `payment` shows its present state, in a replay too."""
    request = RefundPayment(
        payment_id=asked.path["id"],
        idempotency_key=asked.idempotency_key,
        amount=asked.input.amount,
        reason=asked.input.reason,
    )
    return _shown(await asked.ask(Admin).refund(request), 201)


async def list_refunds(asked: Asked[ListRefunds]) -> Response:
    """The refunds of all payments; what is due or pending oldest first, anything else newest first."""
    return json_text(await asked.ask(Admin).list_refunds(asked.input))


async def settle_refund(asked: Asked[SettlementRequest]) -> Response:
    """A refund that the provider could not make is recorded as paid by hand; only one that is due can be."""
    request = SettleRefund(
        refund_id=asked.path["id"],
        idempotency_key=asked.idempotency_key,
        reference=asked.input.reference,
        note=asked.input.note,
    )
    return _shown(await asked.ask(Admin).settle_refund(request), 200)


def _shown(refund: Refund, status: int) -> Response:
    headers = {"idempotent-replayed": "true"} if refund.replayed else {}
    return json_text(refund.model_dump_json(exclude={"replayed"}, exclude_none=True), status, headers)


async def get_ledger(asked: Asked[Nothing]) -> Response:
    """The balance of every account of the payments' ledger."""
    return json_text(await asked.ask(Admin).get_ledger(asked.input))


async def settle_sandbox_payment(asked: Asked[Nothing]) -> Response:
    """The customer of a waiting payment pays it at the sandbox provider, which tells us by a signed webhook."""
    return await _at_sandbox(asked, "paid")


async def fail_sandbox_payment(asked: Asked[Nothing]) -> Response:
    """The customer of a waiting payment fails to pay it at the sandbox provider, which tells us as well."""
    return await _at_sandbox(asked, "failed")


async def _at_sandbox(asked: Asked[Nothing], outcome: Literal["paid", "failed"]) -> Response:
    payment = await _visible_payment(asked)
    settle = SettleSandboxPayment(payment_id=payment.id, outcome=outcome)
    return json_of(await asked.services.ask(Payments, GATEWAY).settle_sandbox_payment(settle))


async def list_sandbox_charges(asked: Asked[Nothing]) -> Response:
    """The charges that the sandbox provider has on its book."""
    return json_text(await asked.ask(Admin).list_sandbox_charges(asked.input))


ROUTES = (
    Route("GET", "/api/payments/{id}", Access.OWNER, get_payment, Nothing, "One payment", output=Payment),
    Route(
        "POST",
        "/api/payments/{id}/refunds",
        "payments:manage",
        refund,
        RefundRequest,
        "Refund a payment",
        output=Refund,
        status=201,
        refuses=(409,),
        needs_idempotency_key=True,
    ),
    Route(
        "GET",
        "/api/refunds",
        "payments:manage",
        list_refunds,
        ListRefunds,
        "Refunds of all payments",
        output=RefundPage,
    ),
    Route(
        "POST",
        "/api/refunds/{id}/settle",
        "payments:manage",
        settle_refund,
        SettlementRequest,
        "Record a refund that was paid by hand",
        output=Refund,
        refuses=(409,),
        needs_idempotency_key=True,
    ),
    Route(
        "GET",
        "/api/ledger",
        "payments:manage",
        get_ledger,
        Nothing,
        "The balances of the payments' ledger",
        output=Ledger,
    ),
    Route(
        "POST",
        "/api/sandbox/payments/{id}/settle",
        Access.OWNER,
        settle_sandbox_payment,
        Nothing,
        "Pay at the sandbox provider",
        output=Payment,
        refuses=(409,),
        takes_instead="query",
        sandbox=True,
    ),
    Route(
        "POST",
        "/api/sandbox/payments/{id}/fail",
        Access.OWNER,
        fail_sandbox_payment,
        Nothing,
        "Fail to pay at the sandbox provider",
        output=Payment,
        refuses=(409,),
        takes_instead="query",
        sandbox=True,
    ),
    Route(
        "GET",
        "/api/sandbox/charges",
        "payments:manage",
        list_sandbox_charges,
        Nothing,
        "The sandbox provider's own book",
        output=SandboxChargeList,
        refuses=(404,),
        sandbox=True,
    ),
)
