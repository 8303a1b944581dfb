"""What the order service does with what its queue brings."""

import pytest
from pydantic import JsonValue, ValidationError

from order.application.inbox import handle
from order.application.messages import HearOfPayment
from shared_kernel.events import Event
from tests.unit.order.order_world import ORDER_ID, Hours, now_and_then
from tests.unit.order.test_order_reconciler import OrderList

SETTLED = {"payment_id": "pay_1", "order_id": ORDER_ID, "status": "captured", "provider": "sandbox"}


class Listed(OrderList):
    """The list of orders, which remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.applied: list[str] = []

    async def apply(self, event: Event) -> None:
        self.applied.append(event.type)


def brought(kind: str, data: dict[str, JsonValue]) -> tuple[list[str], list[tuple[str, HearOfPayment]]]:
    order_list, heard = Listed(), list[tuple[str, HearOfPayment]]()

    async def payment_heard(event: Event, order_id: str, told: HearOfPayment) -> None:
        heard.append((order_id, told))

    event = Event(
        id="evt_1", source="/s", type=kind, subject="x", time=Hours().now.isoformat(), traceparent="", data=data
    )
    now_and_then(handle(event, order_list, payment_heard))
    return order_list.applied, heard


def test_an_event_of_an_order_goes_to_the_list() -> None:
    assert brought("order.confirmed", {}) == (["order.confirmed"], [])


def test_an_event_of_a_payment_goes_to_its_order() -> None:
    data: dict[str, JsonValue] = {**SETTLED, "added_later": 1}
    assert brought("payment.captured", data) == ([], [(ORDER_ID, HearOfPayment(event_id="evt_1", status="captured"))])


@pytest.mark.parametrize("data", [{}, {"order_id": ORDER_ID}, {"order_id": ORDER_ID, "status": "unheard of"}])
def test_an_event_of_a_payment_that_cannot_be_read_is_refused(data: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        brought("payment.captured", data)
