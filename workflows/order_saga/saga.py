"""The order saga: five steps forward, and back again when one of them is refused.

1. validate: every product is still sold; 2. reserve the stock; 3. request the payment; 4. confirm the
stock; 5. confirm the order. On the way back everything is given back whether or not it is known to have
been taken, because the outcome of a call that timed out is unknown: giving back what was never taken is
recorded, and refuses the taking when it arrives late. Every step may run more than once: what it calls
answers what was recorded. A refusal is not repeated, a fault is, with growing delay.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter

from order.application.messages import CarryOut, GetPaymentToken
from order.application.ports import Aggregate
from order.domain import commands
from order.domain.events import Shortage
from shared_kernel.contracts.inventory import DemandLine, Destination, OrderStock, Reservations, ReserveStock
from shared_kernel.contracts.order import GetOrder, PlacedOrder
from shared_kernel.contracts.payment import CancelPayment, Charges, RequestPayment
from shared_kernel.contracts.product import PriceLines, Pricing, WantedLine
from shared_kernel.errors import Conflict, DomainError, Fault
from shared_kernel.result import Err, Ok, decode, encode

VALIDATE = "validate"
RESERVE_STOCK = "reserve stock"
REQUEST_PAYMENT = "request payment"
CONFIRM_STOCK = "confirm stock"
CONFIRM_ORDER = "confirm order"
DECIDE_REJECTION = "decide rejection"
CANCEL_PAYMENT = "cancel payment"
RELEASE_STOCK = "release stock"
REJECT_ORDER = "reject order"

ALREADY_CONFIRMED = "already_confirmed"


class Retries(NamedTuple):
    """How often a step that broke is tried again; the delay doubles each time."""

    limit: int
    first_delay_seconds: int


FORWARD = Retries(limit=4, first_delay_seconds=1)
BACKWARD = Retries(limit=8, first_delay_seconds=1)

_UNAVAILABLE = {
    VALIDATE: "catalogue_unavailable",
    RESERVE_STOCK: "inventory_unavailable",
    REQUEST_PAYMENT: "payment_unavailable",
    CONFIRM_STOCK: "inventory_unavailable",
    CONFIRM_ORDER: "order_unavailable",
}


@dataclass(frozen=True)
class Services:
    """What the steps call, for one attempt at one step."""

    orders: Aggregate
    pricing: Pricing
    reservations: Reservations
    charges: Charges


Work = Callable[[Services, PlacedOrder], Awaitable[None]]


class StepFailed(Exception):
    """A step broke on its every attempt."""


class Steps(Protocol):
    """Durable execution: a step that has finished is not run again, but answers what it answered."""

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        """The text that `work` gave; StepFailed when it raised a Fault on every attempt."""
        ...


async def run(order_id: str, steps: Steps, connect: Callable[[], Services]) -> str:
    """Bring the order to its end, and answer its status; raises StepFailed when it cannot be brought back."""

    async def step(name: str, work: Work, retries: Retries) -> None:
        async def attempt() -> str:
            services = connect()
            try:
                await work(services, await services.orders.get_placed(GetOrder(id=order_id)))
            except Fault:
                raise
            except DomainError as refusal:
                return encode(Err.of(refusal))
            return encode(Ok("null"))

        result = decode(await steps.do(name, attempt, retries))
        if isinstance(result, Err):
            raise result.exception()

    name = VALIDATE
    try:
        for name, work in _FORWARD:
            await step(name, work, FORWARD)
    except DomainError as refusal:
        why = commands.DecideRejection(code=refusal.code, detail=refusal.message, missing=_missing(refusal))
    except StepFailed:
        why = commands.DecideRejection(code=_UNAVAILABLE[name], detail=f"{name}: no clear answer after many attempts")
    else:
        return "confirmed"

    try:
        await step(DECIDE_REJECTION, functools.partial(_decide_rejection, why), BACKWARD)
    except Conflict as refusal:
        if refusal.code != ALREADY_CONFIRMED:
            raise
        return "confirmed"
    for name, work in _BACKWARD:
        await step(name, work, BACKWARD)
    return "rejected"


async def _validate(services: Services, order: PlacedOrder) -> None:
    if order.rejection is not None:
        raise Conflict(order.rejection.detail, code=order.rejection.code)
    wanted = [WantedLine(product_id=line.product_id, quantity=line.quantity) for line in order.items]
    await services.pricing.price_lines(PriceLines(market=order.market, lines=wanted))


async def _reserve_stock(services: Services, order: PlacedOrder) -> None:
    demand = [DemandLine(product_id=line.product_id, quantity=line.quantity) for line in order.items]
    address = order.shipping_address
    destination = Destination(latitude=address.latitude, longitude=address.longitude)
    request = ReserveStock(order_id=order.id, lines=demand, destination=destination)
    held = await services.reservations.reserve(request)
    command = commands.RecordReservation(allocations=tuple(held.allocations), expires_at=held.expires_at)
    await services.orders.carry_out(CarryOut(command=command))


async def _request_payment(services: Services, order: PlacedOrder) -> None:
    if order.payment.status == "captured":
        return
    token = (await services.orders.get_payment_token(GetPaymentToken())).token
    await services.orders.carry_out(CarryOut(command=commands.RequestPayment()))
    payment = await services.charges.request_payment(
        RequestPayment(
            idempotency_key=_payment_key(order),
            order_id=order.id,
            amount=order.total,
            provider=order.payment.provider,
            method=order.payment.method,
            token=token,
        )
    )
    if payment.captured.amount > 0:
        # It counts that the money came, even if staff have given some of it back since.
        captured = commands.RecordCapture(payment_id=payment.id, amount=payment.captured)
        await services.orders.carry_out(CarryOut(command=captured))
        return
    failure = payment.failure
    detail = failure.detail if failure is not None else f"the payment is {payment.status}"
    declined = commands.RecordDecline(
        payment_id=payment.id, code=failure.code if failure is not None else payment.status, detail=detail
    )
    await services.orders.carry_out(CarryOut(command=declined))
    raise Conflict(detail, code="payment_declined")


async def _confirm_stock(services: Services, order: PlacedOrder) -> None:
    await services.reservations.confirm(OrderStock(order_id=order.id))


async def _confirm_order(services: Services, order: PlacedOrder) -> None:
    await services.orders.carry_out(CarryOut(command=commands.Confirm()))


async def _decide_rejection(why: commands.DecideRejection, services: Services, order: PlacedOrder) -> None:
    try:
        await services.orders.carry_out(CarryOut(command=why))
    except Conflict as refusal:
        raise Conflict("the order stands", code=ALREADY_CONFIRMED) from refusal


async def _cancel_payment(services: Services, order: PlacedOrder) -> None:
    if order.payment.status == "not_requested":
        return
    payment = await services.charges.cancel_payment(
        CancelPayment(
            idempotency_key=_payment_key(order),
            order_id=order.id,
            amount=order.total,
            provider=order.payment.provider,
            method=order.payment.method,
            reason=order.rejection.code if order.rejection is not None else "rejected",
        )
    )
    if payment.refunded.amount > 0:
        refund = commands.RecordRefund(payment_id=payment.id, amount=payment.refunded)
        await services.orders.carry_out(CarryOut(command=refund))


async def _release_stock(services: Services, order: PlacedOrder) -> None:
    await services.reservations.release(OrderStock(order_id=order.id))
    await services.orders.carry_out(CarryOut(command=commands.RecordRelease()))


async def _reject_order(services: Services, order: PlacedOrder) -> None:
    await services.orders.carry_out(CarryOut(command=commands.Reject()))


_FORWARD: tuple[tuple[str, Work], ...] = (
    (VALIDATE, _validate),
    (RESERVE_STOCK, _reserve_stock),
    (REQUEST_PAYMENT, _request_payment),
    (CONFIRM_STOCK, _confirm_stock),
    (CONFIRM_ORDER, _confirm_order),
)
_BACKWARD: tuple[tuple[str, Work], ...] = (
    (CANCEL_PAYMENT, _cancel_payment),
    (RELEASE_STOCK, _release_stock),
    (REJECT_ORDER, _reject_order),
)


def _payment_key(order: PlacedOrder) -> str:
    return f"order-{order.id}"


def _missing(refusal: DomainError) -> tuple[Shortage, ...]:
    return _SHORTAGES.validate_python(refusal.details.get("missing", ()))


_SHORTAGES: TypeAdapter[tuple[Shortage, ...]] = TypeAdapter(tuple[Shortage, ...])
