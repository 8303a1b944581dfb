"""The order saga: its steps forward, and back again when one of them is refused.

1. validate: every product is still sold; for a company's order, authorise the spending, and where it is over the
buyer's limit wait for an approver; 2. reserve the stock; 3. request the payment, and where the customer has to do
something wait for him, at most until the hold on the stock ends; 4. confirm the stock, or what is to be had of it
where the hold has ended before the money was here; 5. confirm the order. On the way back
everything is given back whether or not it is known to have been taken, because the outcome of a call that
timed out is unknown: giving back what was never taken is recorded, and refuses the taking when it arrives
late. The stock goes first: the rejection is decided, so whatever becomes of the payment the goods are free, and
a provider that does not let go of its charge keeps them from nobody. Every step may run more than once: what it
calls answers what was recorded. A refusal is not repeated, a fault is, with growing delay.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter

from order.application.messages import GetPaymentMeans
from order.application.payments import PASSING, payment_key, returned
from order.domain import commands
from order.domain.events import Shortage
from order_saga.approval import authorise_spending, check_approval, release_spending
from order_saga.work import Services, Work, require_standing, seconds_left
from shared_kernel.contracts.inventory import DemandLine, Destination, OrderStock, Reservation, ReserveStock
from shared_kernel.contracts.order import GetOrder, PlacedOrder
from shared_kernel.contracts.payment import CancelPayment, CheckPayment, Failure, Payment, RequestPayment
from shared_kernel.contracts.product import PriceLines, WantedLine
from shared_kernel.errors import Conflict, DomainError, Fault, Unavailable
from shared_kernel.result import Err, Ok, decode, encode

VALIDATE = "validate"
AUTHORISE_SPENDING = "authorise spending"
AWAIT_APPROVAL = "await approval"
CHECK_APPROVAL = "check approval"
RESERVE_STOCK = "reserve stock"
REQUEST_PAYMENT = "request payment"
AWAIT_PAYMENT = "await payment"
CHECK_PAYMENT = "check payment"
CONFIRM_STOCK = "confirm stock"
CONFIRM_ORDER = "confirm order"
DECIDE_REJECTION = "decide rejection"
CANCEL_PAYMENT = "cancel payment"
RELEASE_STOCK = "release stock"
RELEASE_SPENDING = "release spending"
REJECT_ORDER = "reject order"

ALREADY_CONFIRMED = "already_confirmed"

LOOKS = 100
"""How often is looked at whether somebody has acted; each look follows an event, a fault or the end of his time."""
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
    AUTHORISE_SPENDING: "spending_unavailable",
    RESERVE_STOCK: "inventory_unavailable",
    REQUEST_PAYMENT: "payment_unavailable",
    CONFIRM_STOCK: "inventory_unavailable",
    CONFIRM_ORDER: "order_unavailable",
}


class StepFailed(Exception):
    """A step broke on its every attempt."""


class Steps(Protocol):
    """Durable execution: a step that has finished is not run again, but answers what it answered."""

    async def do(self, name: str, work: Callable[[], Awaitable[str]], retries: Retries) -> str:
        """The text that `work` gave; StepFailed when it raised a Fault on every attempt."""
        ...

    async def wait(self, name: str, timeout_seconds: int) -> None:
        """Wait until somebody says that it is time to look again, at most so long. It may come too early, and for
        nothing: what is true has to be asked."""
        ...


class Waiting(NamedTuple):
    """How the saga waits for somebody: the names of its waits and looks, the look, and what it is called when he has
    not acted."""

    name: str
    look_name: str
    look: Work
    expired: str


class Stage(NamedTuple):
    """A step, how it waits where its work says so, and whether only companies' orders have it."""

    name: str
    work: Work
    waiting: Waiting | None = None
    for_companies: bool = False


@dataclass(frozen=True)
class _Course:
    """One run of the saga for one order."""

    order_id: str
    steps: Steps
    connect: Callable[[], Services]

    async def step(self, name: str, work: Work, retries: Retries) -> int:
        """What the work answered, now or in an earlier life; raises its refusal, or StepFailed."""

        async def attempt() -> str:
            services = self.connect()
            try:
                answer = await work(services, await services.orders.get_placed(GetOrder(id=self.order_id)))
            except Fault:
                raise
            except DomainError as refusal:
                return encode(Err.of(refusal))
            return encode(Ok(str(answer)))

        result = decode(await self.steps.do(name, attempt, retries))
        if isinstance(result, Err):
            raise result.exception()
        return int(result.json)

    async def go(self, stage: Stage, retries: Retries) -> None:
        """Do the stage's step, and wait where it says so until somebody has acted; Conflict when he has not."""
        seconds = await self.step(stage.name, stage.work, retries)
        if stage.waiting is None or seconds == 0:
            return
        name, look_name, look, expired = stage.waiting
        for number in range(1, LOOKS + 1):
            await self.steps.wait(f"{name} {number}", seconds)
            seconds = await self.step(f"{look_name} {number}", look, FORWARD)
            if seconds == 0:
                return
        raise Conflict(f"{name}: nothing has come", code=expired)


async def run(order_id: str, steps: Steps, connect: Callable[[], Services]) -> str:
    """Bring the order to its end, and answer its status; raises StepFailed when it cannot be brought back."""
    course = _Course(order_id, steps, connect)
    name = VALIDATE
    try:
        for_company = bool(await course.step(VALIDATE, _validate, FORWARD))
        for stage in _FORWARD:
            name = stage.name
            if for_company or not stage.for_companies:
                await course.go(stage, FORWARD)
    except DomainError as refusal:
        why = commands.DecideRejection(code=refusal.code, detail=refusal.message, missing=_missing(refusal))
    except StepFailed:
        why = commands.DecideRejection(code=_UNAVAILABLE[name], detail=f"{name}: no clear answer after many attempts")
    else:
        return "confirmed"

    try:
        decide = functools.partial(_decide_rejection, why)
        for_company = bool(await course.step(DECIDE_REJECTION, decide, BACKWARD))
    except Conflict as refusal:
        if refusal.code != ALREADY_CONFIRMED:
            raise
        return "confirmed"
    for stage in _BACKWARD:
        if for_company or not stage.for_companies:
            await course.go(stage, BACKWARD)
    return "rejected"


async def _validate(services: Services, order: PlacedOrder) -> int:
    """Answers whether it is a company's order, 1 or 0, which is kept and says which steps there are."""
    require_standing(order)
    wanted = [WantedLine(product_id=line.product_id, quantity=line.quantity) for line in order.items]
    await services.pricing.price_lines(PriceLines(market=order.market, lines=wanted))
    return int(order.company_id is not None)


async def _reserve_stock(services: Services, order: PlacedOrder) -> int:
    require_standing(order)
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
    await services.carry_out(command)


async def _request_payment(services: Services, order: PlacedOrder) -> int:
    require_standing(order)
    if order.payment.status == "captured":
        return 0
    offer = await services.orders.get_payment_means(GetPaymentMeans())
    await services.carry_out(commands.RequestPayment())
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
    await services.carry_out(instructed)
    return max(1, seconds_left(services, until))


async def _check_payment(services: Services, order: PlacedOrder) -> int:
    """How the payment stands: only the payment service's answer counts, and it asks the provider."""
    require_standing(order)
    if order.payment.status == "captured":
        return 0
    seconds = seconds_left(services, order.payment.expires_at)
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
        await services.carry_out(captured)
        return
    if payment.status == "expired" or payment.given_up:
        await services.carry_out(commands.RecordExpiry(payment_id=payment.id))
        raise Conflict("the payment was not made in time", code="payment_expired")
    failure = payment.failure or Failure(code=payment.status, detail=f"the payment is {payment.status}")
    declined = commands.RecordDecline(payment_id=payment.id, code=failure.code, detail=failure.detail)
    await services.carry_out(declined)
    raise Conflict(failure.detail, code="payment_declined")


async def _confirm_stock(services: Services, order: PlacedOrder) -> int:
    """Confirm what is held; where the hold ended before that, hold anew what is still there."""
    require_standing(order)
    held = OrderStock(order_id=order.id)
    try:
        confirmed = await services.reservations.confirm(held)
    except Conflict as refusal:
        if refusal.code != "reservation_ended":
            raise
        await services.carry_out(commands.RecordHoldEnd())
        await _hold(services, order)
        await services.reservations.confirm(held)
    else:
        if order.allocations is None:
            # An earlier attempt at this step held anew, and broke before that was recorded.
            await _record_hold(services, confirmed)
    return 0


async def _confirm_order(services: Services, order: PlacedOrder) -> int:
    await services.carry_out(commands.Confirm())
    return 0


async def _decide_rejection(why: commands.DecideRejection, services: Services, order: PlacedOrder) -> int:
    """Answers as `_validate` does, which may never have come to its end."""
    try:
        await services.carry_out(why)
    except Conflict as refusal:
        raise Conflict("the order stands", code=ALREADY_CONFIRMED) from refusal
    return int(order.company_id is not None)


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
        await services.carry_out(returned(payment))
    return 0


async def _release_stock(services: Services, order: PlacedOrder) -> int:
    await services.reservations.release(OrderStock(order_id=order.id))
    await services.carry_out(commands.RecordRelease())
    return 0


async def _reject_order(services: Services, order: PlacedOrder) -> int:
    await services.carry_out(commands.Reject())
    return 0


_FORWARD = (
    Stage(
        AUTHORISE_SPENDING,
        authorise_spending,
        Waiting(AWAIT_APPROVAL, CHECK_APPROVAL, check_approval, expired="approval_expired"),
        for_companies=True,
    ),
    Stage(RESERVE_STOCK, _reserve_stock),
    Stage(
        REQUEST_PAYMENT,
        _request_payment,
        Waiting(AWAIT_PAYMENT, CHECK_PAYMENT, _check_payment, expired="payment_expired"),
    ),
    Stage(CONFIRM_STOCK, _confirm_stock),
    Stage(CONFIRM_ORDER, _confirm_order),
)
_BACKWARD = (
    Stage(RELEASE_STOCK, _release_stock),
    Stage(CANCEL_PAYMENT, _cancel_payment),
    Stage(RELEASE_SPENDING, release_spending, for_companies=True),
    Stage(REJECT_ORDER, _reject_order),
)


def _missing(refusal: DomainError) -> tuple[Shortage, ...]:
    return _SHORTAGES.validate_python(refusal.details.get("missing", ()))


_NEVER = "9999"
_SHORTAGES: TypeAdapter[tuple[Shortage, ...]] = TypeAdapter(tuple[Shortage, ...])
