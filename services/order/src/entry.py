"""The order Worker: its entrypoints, the orders' Durable Object and the saga, wired to what they need."""

import logging
from typing import Any

from workers import DurableObject, WorkerEntrypoint, WorkflowEntrypoint

from order.application.aggregate import TRACEPARENT, OrderAggregate
from order.application.inbox import handle
from order.application.messages import CarryOut, HearOfPayment
from order.application.orders import OrderAdmin, Orders
from order.application.ports import Aggregate
from order.application.reconciler import Reconciler
from order.domain.commands import Command
from order.infrastructure.d1 import D1OrderList
from order.infrastructure.object_storage import FIRST_WAKE_SECONDS, StoredHistory
from order.infrastructure.workflow import WorkflowSagas
from order_saga import saga
from order_saga.work import Services
from order_saga.workflow import NUDGE, WorkflowSteps
from shared_kernel.clock import system_clock, to_milliseconds
from shared_kernel.cloudflare import (
    D1,
    ObjectStorage,
    QueueMessage,
    bindings,
    log_to_console,
    producer,
    setting,
    subscriptions,
    transport,
    wait_until,
)
from shared_kernel.contracts import company, inventory, order, payment, product
from shared_kernel.inbox import consume
from shared_kernel.rpc import Call, CircuitBreaker, Principal, object_serves, remote, serves
from shared_kernel.tracing import next_traceparent, traced

CALL_SECONDS = 10
RETRY_PAUSE_SECONDS = 30
DEAD_LETTERS = "order-dlq"
# With the hundred retries of such a queue, a database may be away for eight hours before a dead letter is lost.
DEAD_LETTER_PAUSE_SECONDS = 300

log_to_console()
_log = logging.getLogger(__name__)
_pricing_breaker = CircuitBreaker()
_spending_breaker = CircuitBreaker()


def _now_ms() -> int:
    return to_milliseconds(system_clock())


def _order_list() -> D1OrderList:
    return D1OrderList(D1(bindings().DB), system_clock)


def _aggregate(order_id: str, call: Call) -> Aggregate:
    namespace = bindings().ORDERS
    stub = namespace.get(namespace.idFromName(order_id))
    # Each order is an object of its own, so the failures of one say nothing about the next.
    return remote(Aggregate, transport(stub), call, CircuitBreaker())


def _orders(call: Call) -> Orders:
    pricing = remote(product.Pricing, transport(bindings().PRODUCT_PRICING), call, _pricing_breaker)
    # The user service believes another service alone; whose yes it is stands in the request.
    own_call = call.model_copy(update={"principal": Principal(kind="service", id="order")})
    spending = remote(company.Spending, transport(bindings().USER_SPENDING), own_call, _spending_breaker)
    return Orders(lambda order_id: _aggregate(order_id, call), pricing, spending, _order_list(), call.principal)


@serves(order.Orders, _orders)
class Default(WorkerEntrypoint):
    """For the gateway's public routes; also the consumer of the order service's queues."""

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:
        """Bring the list of orders up to date, and orders to their payments; keep what could not be handled."""
        order_list = _order_list()
        messages = [QueueMessage(message) for message in batch.messages]
        if batch.queue.startswith(DEAD_LETTERS):
            for message in messages:
                await _bury(order_list, message)
        else:
            database = D1(bindings().DB)
            await consume(database, messages, system_clock, lambda event: handle(event, order_list, _payment_heard))


async def _bury(order_list: D1OrderList, message: QueueMessage) -> None:
    try:
        await order_list.bury(message.body)
    except Exception:
        _log.exception("a dead letter could not be kept and will be delivered again")
        message.retry(DEAD_LETTER_PAUSE_SECONDS)
    else:
        message.ack()


async def _payment_heard(order_id: str, told: HearOfPayment, traceparent: str) -> None:
    await _aggregate(order_id, _own_call("order-inbox", traceparent)).hear_of_payment(told)


@serves(order.Admin, lambda call: OrderAdmin(_order_list(), call.principal))
class Admin(WorkerEntrypoint):
    """For staff."""


async def _send(history: StoredHistory) -> bool:
    return await history.relay(subscriptions(), producer)


async def _follow_up(history: StoredHistory, placed_order_id: str | None) -> None:
    """Start the saga of a new order and send the events; the object's alarm sees to what fails here."""
    try:
        if placed_order_id is not None:
            await _sagas().start(placed_order_id, 1, history.private(TRACEPARENT) or "")
        await _send(history)
    except Exception:
        _log.exception("an order's follow-up is left to its alarm")


def _sagas() -> WorkflowSagas:
    return WorkflowSagas(lambda: bindings().ORDER_SAGA, NUDGE)


def _served(instance: "OrderObject", call: Call) -> OrderAggregate:
    history = instance.history
    return OrderAggregate(history, call, system_clock, lambda placed: wait_until(_follow_up(history, placed)))


def _reconciler(history: StoredHistory) -> Reconciler:
    call = _own_call("order-alarm", history.private(TRACEPARENT) if history.version() else None)

    async def carry_out(command: Command) -> None:
        await OrderAggregate(history, call, system_clock, lambda placed: None).carry_out(CarryOut(command=command))

    return Reconciler(
        history=history,
        sagas=_sagas(),
        order_list=_order_list(),
        charges=remote(payment.Charges, transport(bindings().PAYMENT_CHARGES), call, CircuitBreaker()),
        carry_out=carry_out,
        send=lambda: _send(history),
        publish=history.publish,
        clock=system_clock,
    )


def _own_call(name: str, traceparent: str | None) -> Call:
    """A call on the order service's own account, with the time that one call may take."""
    return Call(
        principal=Principal(kind="service", id=name),
        traceparent=next_traceparent(traceparent),
        deadline_ms=_now_ms() + CALL_SECONDS * 1000,
    )


@object_serves(Aggregate, _served)
class OrderObject(DurableObject):
    """One order: its events, and the alarm that does not rest before the order has ended."""

    def __init__(self, ctx: Any, env: Any) -> None:
        super().__init__(ctx, env)
        self.storage = ObjectStorage.of(self.ctx)
        self.history = StoredHistory(self.storage, _now_ms)

    async def alarm(self, info: Any = None) -> None:
        """Reconcile, and look again later; what breaks is logged and tried again at the next alarm."""
        history = self.history
        version = history.version()
        with traced(history.private(TRACEPARENT) if version else None):
            try:
                again = await _reconciler(history).run()
            except Exception:
                _log.exception("an order's reconciliation failed and will be tried again")
                again = RETRY_PAUSE_SECONDS
        if history.version() > version:
            # The change has set an alarm of its own, which a longer pause must not put off.
            again = FIRST_WAKE_SECONDS if again is None else min(again, FIRST_WAKE_SECONDS)
        if again is not None:
            self.storage.wake_at(_now_ms() + again * 1000)


class OrderSaga(WorkflowEntrypoint):
    """One run of the saga for one order."""

    async def run(self, event: Any, step: Any) -> str:
        """Bring the order to its end."""
        parameters = event["payload"]
        steps = WorkflowSteps(step, parameters["traceparent"])
        with traced(parameters["traceparent"]):
            return await saga.run(parameters["order_id"], steps, lambda: _saga_services(**parameters))


def _saga_services(order_id: str, traceparent: str) -> Services:
    call = _own_call("order-saga", traceparent)
    env = bindings()
    # Steps have bounded retries of their own. A breaker that one order's saga has opened would use up those of the
    # next ones without a call, and turn back orders that could go on a moment later.
    return Services(
        orders=_aggregate(order_id, call),
        pricing=remote(product.Pricing, transport(env.PRODUCT_PRICING), call, CircuitBreaker()),
        spending=remote(company.Spending, transport(env.USER_SPENDING), call, CircuitBreaker()),
        reservations=remote(inventory.Reservations, transport(env.INVENTORY_RESERVATIONS), call, CircuitBreaker()),
        charges=remote(payment.Charges, transport(env.PAYMENT_CHARGES), call, CircuitBreaker()),
        clock=system_clock,
        approval_seconds=int(setting("APPROVAL_SECONDS")),
    )
