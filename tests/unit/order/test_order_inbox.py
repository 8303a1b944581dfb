"""What the order service does with what its queue brings."""

import pytest
from pydantic import JsonValue, ValidationError

from order.application.inbox import handle
from order.application.messages import HearOfPayment
from shared_kernel.events import Event
from shared_kernel.sql import Statement
from tests.unit.order.order_world import ORDER_ID, TRACEPARENT, Hours, now_and_then
from tests.unit.order.test_order_reconciler import OrderList

SETTLED = {"payment_id": "pay_1", "order_id": ORDER_ID, "status": "captured", "provider": "sandbox"}


class Listed(OrderList):
    """The list of orders, whose every change is named after its event."""

    def applied(self, event: Event) -> Statement:
        return Statement(event.type)


def brought(kind: str, data: dict[str, JsonValue]) -> tuple[list[str], list[tuple[str, HearOfPayment, str]]]:
    heard = list[tuple[str, HearOfPayment, str]]()

    async def payment_heard(order_id: str, told: HearOfPayment, traceparent: str) -> None:
        heard.append((order_id, told, traceparent))

    event = Event(
        id="evt_1",
        source="/s",
        type=kind,
        subject="x",
        time=Hours().now.isoformat(),
        traceparent=TRACEPARENT,
        data=data,
    )
    changes = now_and_then(handle(event, Listed(), payment_heard))
    return [change.sql for change in changes], heard


def test_an_event_of_an_order_goes_to_the_list() -> None:
    assert brought("order.confirmed", {}) == (["order.confirmed"], [])


def test_an_event_of_a_payment_goes_to_its_order() -> None:
    data: dict[str, JsonValue] = {**SETTLED, "added_later": 1}
    told = HearOfPayment(event_id="evt_1", status="captured")
    assert brought("payment.captured", data) == ([], [(ORDER_ID, told, TRACEPARENT)])


@pytest.mark.parametrize("data", [{}, {"order_id": ORDER_ID}, {"order_id": ORDER_ID, "status": "unheard of"}])
def test_an_event_of_a_payment_that_cannot_be_read_is_refused(data: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        brought("payment.captured", data)
