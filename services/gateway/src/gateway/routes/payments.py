"""The routes of payments: reading one, giving money back, and the book of the sandbox provider."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from gateway.answers import SandboxChargeList
from gateway.http import Response, json_of, json_text
from gateway.identity import GATEWAY
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.order import GetOrder, Orders
from shared_kernel.contracts.payment import Admin, GetPayment, Payment, Payments, Refund, RefundPayment
from shared_kernel.errors import NotFound
from shared_kernel.money import Money


class RefundRequest(BaseModel):
    """How much of a payment to give back, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Money
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


async def get_payment(asked: Asked[Nothing]) -> Response:
    """One payment, for staff and for whoever may see its order."""
    which = GetPayment(id=asked.path["id"])
    if asked.principal.kind == "staff":
        return json_of(await asked.ask(Payments).get_payment(which))
    try:
        payment = await asked.services.ask(Payments, GATEWAY).get_payment(which)
        await asked.ask(Orders).get_order(GetOrder(id=payment.order_id))
    except NotFound:
        # One answer for both, so that nobody learns from it which payments there are.
        raise NotFound("there is no such payment", code="payment_not_found") from None
    return json_of(payment)


async def refund(asked: Asked[RefundRequest]) -> Response:
    """A part of a payment, or all of it, is given back; `payment` shows its present state, in a replay too."""
    request = RefundPayment(
        payment_id=asked.path["id"],
        idempotency_key=asked.idempotency_key,
        amount=asked.input.amount,
        reason=asked.input.reason,
    )
    refund = await asked.ask(Admin).refund(request)
    headers = {"idempotent-replayed": "true"} if refund.replayed else {}
    return json_text(refund.model_dump_json(exclude={"replayed"}, exclude_none=True), 201, headers)


async def list_sandbox_charges(asked: Asked[Nothing]) -> Response:
    """The charges that the sandbox provider has on its book."""
    return json_text(await asked.ask(Admin).list_sandbox_charges(asked.input))


ROUTES = (
    Route("GET", "/api/payments/{id}", Access.OWNER, get_payment, Nothing, "One payment", output=Payment),
    Route(
        "POST",
        "/api/payments/{id}/refunds",
        Access.STAFF,
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
        "/api/sandbox/charges",
        Access.STAFF,
        list_sandbox_charges,
        Nothing,
        "The sandbox provider's own book",
        output=SandboxChargeList,
        refuses=(404,),
    ),
)
