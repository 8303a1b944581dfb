"""What the order service hears through its queue: its own events make the list, a payment's concern an order."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from order.application.messages import HearOfPayment
from order.application.ports import OrderList
from shared_kernel.contracts.payment import PaymentStatus
from shared_kernel.events import Event


class PaymentTold(BaseModel):
    """The part of a `payment.*` event's data that says which order to look at."""

    order_id: str
    status: PaymentStatus


async def handle(
    event: Event, order_list: OrderList, payment_heard: Callable[[Event, str, HearOfPayment], Awaitable[None]]
) -> None:
    """Bring the list to an order's event, and a payment's event to its order."""
    if not event.type.startswith("payment."):
        await order_list.apply(event)
        return
    told = PaymentTold.model_validate(event.data)
    await payment_heard(event, told.order_id, HearOfPayment(event_id=event.id, status=told.status))
