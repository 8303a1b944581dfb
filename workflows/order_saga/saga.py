"""The order saga: five steps forward, and back again when one of them is refused.

1. validate: every product is still sold; 2. reserve the stock; 3. request the payment, and where the customer
has to do something wait for him, at most until the hold on the stock ends; 4. confirm the stock, or what is to
be had of it where the hold has ended before the money was here; 5. confirm the order. On the way back
everything is given back whether or not it is known to have been taken, because the outcome of a call that
timed out is unknown: giving back what was never taken is recorded, and refuses the taking when it arrives
late. The stock goes first: the rejection is decided, so whatever becomes of the payment the goods are free, and
a provider that does not let go of its charge keeps them from nobody. Every step may run more than once: what it
calls answers what was recorded. A refusal is not repeated, a fault is, with growing delay.
"""

import functools
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter

from order.application.messages import CarryOut, GetPaymentMeans
from order.application.payments import PASSING, payment_key, returned
from order.application.ports import Aggregate
from order.domain import commands
from order.domain.events import Shortage
from shared_kernel.clock import Clock
from shared_kernel.contracts.inventory import (
    DemandLine,
    Destination,
    OrderStock,
    Reservation,
    Reservations,
    ReserveStock,
)
from shared_kernel.contracts.order import GetOrder, PlacedOrder
from shared_kernel.contracts.payment import CancelPayment, Charges, CheckPayment, Failure, Payment, RequestPayment
from shared_kernel.contracts.product import PriceLines, Pricing, WantedLine
from shared_kernel.errors import Conflict, DomainError, Fault, Unavailable
from shared_kernel.result import Err, Ok, decode, encode

VALIDATE = "validate"
RESERVE_STOCK = "reserve stock"
REQUEST_PAYMENT = "request payment"
AWAIT_PAYMENT = "await payment"
CHECK_PAYMENT = "check payment"
CONFIRM_STOCK = "confirm stock"
CONFIRM_ORDER = "confirm order"
DECIDE_REJECTION = "decide rejection"
CANCEL_PAYMENT = "cancel payment"
RELEASE_STOCK = "release stock"
REJECT_ORDER = "reject order"

ALREADY_CONFIRMED = "already_confirmed"

LOOKS = 100
"""How often the payment is looked at while the customer may pay; each follows an event, a fault or the hold's end."""
LOOK_AGAIN_SECONDS = 30
"""How soon after a look that failed."""


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
    clock: Clock


Work = Callable[[Services, PlacedOrder], Awaitable[int]]
"""One step's work; it answers how many seconds the customer still has to pay, 0 for a step that is done."""


class StepFailed(Exception):
    """A step broke on its every attempt."""


class Steps(Protocol):
    """Durable execution: a step that has finished is not run again, but answers what it answered."""

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        """The text that `work` gave; StepFailed when it raised a Fault on every attempt."""
        ...

    async def wait(self, name: str, timeout_seconds: int) -> None:
        """Wait until somebody says that the payment should be looked at, at most so long. It may come too early,
        and for nothing: what is true has to be asked."""
        ...


async def run(order_id: str, steps: Steps, connect: Callable[[], Services]) -> str:
    """Bring the order to its end, and answer its status; raises StepFailed when it cannot be brought back."""

    async def step(name: str, work: Work, retries: Retries) -> int:
        async def attempt() -> str:
            services = connect()
            try:
                seconds = await work(services, await services.orders.get_placed(GetOrder(id=order_id)))
            except Fault:
                raise
            except DomainError as refusal:
                return encode(Err.of(refusal))
            return encode(Ok(str(seconds)))

        result = decode(await steps.do(name, attempt, retries))
        if isinstance(result, Err):
            raise result.exception()
        return int(result.json)

    name = VALIDATE
    try:
        for name, work in _FORWARD:
            seconds = await step(name, work, FORWARD)
            for look in range(1, LOOKS + 1):
                if seconds == 0:
                    break
                await steps.wait(f"{AWAIT_PAYMENT} {look}", seconds)
                seconds = await step(f"{CHECK_PAYMENT} {look}", _check_payment, FORWARD)
            if seconds:
                raise Conflict("the payment did not come", code="payment_expired")
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


async def _validate(services: Services, order: PlacedOrder) -> int:
    _require_standing(order)
    wanted = [WantedLine(product_id=line.product_id, quantity=line.quantity) for line in order.items]
    await services.pricing.price_lines(PriceLines(market=order.market, lines=wanted))
    return 0


async def _reserve_stock(services: Services, order: PlacedOrder) -> int:
    _require_standing(order)
    # What was recorded is not asked for again: when it has run out, whether it is still needed is not known here.
    if order.allocations is None:
        await _hold(services, order)
    return 0


async def _hold(services: Services, order: PlacedOrder) -> None:
    demand = [DemandLine(product_id=line.product_id, quantity=line.quantity) for line in order.items]
    address = order.shipping_address
    destination = Destination(latitude=address.latitude, longitude=address.longitude)
    request = ReserveStock(order_id=order.id, lines=demand, destination=destination)
    await _record_hold(services, await services.reservations.reserve(request))


async def _record_hold(services: Services, held: Reservation) -> None:
    command = commands.RecordReservation(allocations=tuple(held.allocations), expires_at=held.expires_at)
    await services.orders.carry_out(CarryOut(command=command))


async def _request_payment(services: Services, order: PlacedOrder) -> int:
    _require_standing(order)
    if order.payment.status == "captured":
        return 0
    offer = await services.orders.get_payment_means(GetPaymentMeans())
    await services.orders.carry_out(CarryOut(command=commands.RequestPayment()))
    payment = await services.charges.request_payment(
        RequestPayment(
            idempotency_key=payment_key(order.id),
            order_id=order.id,
            amount=order.total,
            provider=order.payment.provider,
            method=order.payment.method,
            token=offer.token,
            phone=offer.phone,
            bank=offer.bank,
            email=order.email,
            expires_at=offer.hold_ends_at,
        )
    )
    if payment.status not in PASSING:
        await _record_answer(services, payment)
        return 0
    until = min(moment for moment in (payment.expires_at, offer.hold_ends_at, _NEVER) if moment is not None)
    if payment.instructions is None or until == _NEVER:
        raise Unavailable(f"the payment is {payment.status}, and does not say what the customer has to do")
    instructed = commands.RecordInstructions(payment_id=payment.id, instructions=payment.instructions, expires_at=until)
    await services.orders.carry_out(CarryOut(command=instructed))
    return max(1, _seconds_left(services, until))


async def _check_payment(services: Services, order: PlacedOrder) -> int:
    """How the payment stands: only the payment service's answer counts, and it asks the provider."""
    _require_standing(order)
    if order.payment.status == "captured":
        return 0
    seconds = _seconds_left(services, order.payment.expires_at)
    try:
        payment = await services.charges.check_payment(CheckPayment(idempotency_key=payment_key(order.id)))
    except Fault:
        if seconds == 0:
            raise
        return min(seconds, LOOK_AGAIN_SECONDS)
    if payment.status not in PASSING:
        await _record_answer(services, payment)
        return 0
    if seconds == 0:
        raise Conflict("the payment did not come before the hold on the stock ended", code="payment_expired")
    return seconds


async def _record_answer(services: Services, payment: Payment) -> None:
    """Record what became of the payment; Conflict when it is not the money."""
    # It counts that the money came, even if staff have given a part of it back since.
    if payment.status in ("captured", "partially_refunded") and not payment.given_up:
        captured = commands.RecordCapture(payment_id=payment.id, amount=payment.captured)
        await services.orders.carry_out(CarryOut(command=captured))
        return
    if payment.status == "expired" or payment.given_up:
        await services.orders.carry_out(CarryOut(command=commands.RecordExpiry(payment_id=payment.id)))
        raise Conflict("the payment was not made in time", code="payment_expired")
    failure = payment.failure or Failure(code=payment.status, detail=f"the payment is {payment.status}")
    declined = commands.RecordDecline(payment_id=payment.id, code=failure.code, detail=failure.detail)
    await services.orders.carry_out(CarryOut(command=declined))
    raise Conflict(failure.detail, code="payment_declined")


async def _confirm_stock(services: Services, order: PlacedOrder) -> int:
    """Confirm what is held; where the hold ended before that, hold anew what is still there."""
    _require_standing(order)
    held = OrderStock(order_id=order.id)
    try:
        confirmed = await services.reservations.confirm(held)
    except Conflict as refusal:
        if refusal.code != "reservation_ended":
            raise
        await services.orders.carry_out(CarryOut(command=commands.RecordHoldEnd()))
        await _hold(services, order)
        await services.reservations.confirm(held)
    else:
        if order.allocations is None:
            # An earlier attempt at this step held anew, and broke before that was recorded.
            await _record_hold(services, confirmed)
    return 0


async def _confirm_order(services: Services, order: PlacedOrder) -> int:
    await services.orders.carry_out(CarryOut(command=commands.Confirm()))
    return 0


async def _decide_rejection(why: commands.DecideRejection, services: Services, order: PlacedOrder) -> int:
    try:
        await services.orders.carry_out(CarryOut(command=why))
    except Conflict as refusal:
        raise Conflict("the order stands", code=ALREADY_CONFIRMED) from refusal
    return 0


async def _cancel_payment(services: Services, order: PlacedOrder) -> int:
    if order.payment.status == "not_requested":
        return 0
    payment = await services.charges.cancel_payment(
        CancelPayment(
            idempotency_key=payment_key(order.id),
            order_id=order.id,
            amount=order.total,
            provider=order.payment.provider,
            method=order.payment.method,
            reason=order.rejection.code if order.rejection is not None else "rejected",
        )
    )
    if payment.captured.amount > 0:
        await services.orders.carry_out(CarryOut(command=returned(payment)))
    return 0


async def _release_stock(services: Services, order: PlacedOrder) -> int:
    await services.reservations.release(OrderStock(order_id=order.id))
    await services.orders.carry_out(CarryOut(command=commands.RecordRelease()))
    return 0


async def _reject_order(services: Services, order: PlacedOrder) -> int:
    await services.orders.carry_out(CarryOut(command=commands.Reject()))
    return 0


_FORWARD: tuple[tuple[str, Work], ...] = (
    (VALIDATE, _validate),
    (RESERVE_STOCK, _reserve_stock),
    (REQUEST_PAYMENT, _request_payment),
    (CONFIRM_STOCK, _confirm_stock),
    (CONFIRM_ORDER, _confirm_order),
)
_BACKWARD: tuple[tuple[str, Work], ...] = (
    (RELEASE_STOCK, _release_stock),
    (CANCEL_PAYMENT, _cancel_payment),
    (REJECT_ORDER, _reject_order),
)


def _require_standing(order: PlacedOrder) -> None:
    if order.rejection is not None:
        raise Conflict(order.rejection.detail, code=order.rejection.code)


def _seconds_left(services: Services, until: str | None) -> int:
    if until is None:
        return 0
    return max(0, math.ceil((datetime.fromisoformat(until) - services.clock()).total_seconds()))


def _missing(refusal: DomainError) -> tuple[Shortage, ...]:
    return _SHORTAGES.validate_python(refusal.details.get("missing", ()))


_NEVER = "9999"
_SHORTAGES: TypeAdapter[tuple[Shortage, ...]] = TypeAdapter(tuple[Shortage, ...])
