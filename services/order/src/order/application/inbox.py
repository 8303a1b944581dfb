"""What the order service hears through its queue: its own events make the list, a payment's concern an order."""

from collections.abc import Awaitable, Callable, Sequence

from pydantic import BaseModel

from order.application.messages import HearOfPayment
from order.application.ports import OrderList
from shared_kernel.contracts.payment import PaymentStatus
from shared_kernel.events import Event
from shared_kernel.sql import Statement


class PaymentTold(BaseModel):
    """The part of a `payment.*` event's data that says which order to look at."""

    order_id: str
    status: PaymentStatus


async def handle(
    event: Event, order_list: OrderList, payment_heard: Callable[[str, HearOfPayment, str], Awaitable[object]]
) -> Sequence[Statement]:
    """What an order's event changes in the list; a payment's event is brought to its order.

    `payment_heard` is given the order's id, what it has to hear, and the trace.
    """
    if not event.type.startswith("payment."):
        return [order_list.applied(event)]
    told = PaymentTold.model_validate(event.data)
    await payment_heard(told.order_id, HearOfPayment(event_id=event.id, status=told.status), event.traceparent)
    return []
