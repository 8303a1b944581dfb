"""An order's surroundings in memory: its storage, and the services that the saga calls.

The fakes keep the promises of the contracts (every call may be repeated, giving back is recorded), and
break where a test tells them to: before the effect, or after it with the answer lost.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel, JsonValue

from order.application.aggregate import OrderAggregate
from order.application.messages import CarryOut, PaymentMeans, PlaceAtPrices
from order.application.ports import Aggregate
from order.domain.commands import Command, Place
from order.infrastructure.object_storage import StoredHistory
from order_saga.work import Services
from shared_kernel.clock import rfc3339, to_milliseconds
from shared_kernel.contracts.company import Spending
from shared_kernel.contracts.inventory import Allocation, OrderStock, Reservation, ReserveStock
from shared_kernel.contracts.order import PlacedOrder, ShippingAddress
from shared_kernel.contracts.payment import (
    CancelPayment,
    CheckPayment,
    Failure,
    Instructions,
    Method,
    Payment,
    PaymentStatus,
    RequestPayment,
)
from shared_kernel.contracts.product import PricedLine, PricedLines, PriceLines
from shared_kernel.errors import Conflict, Invalid, Unavailable
from shared_kernel.ids import derived_id
from shared_kernel.money import Money
from shared_kernel.rpc import Call, Principal
from shared_kernel.sql import ConstraintViolated, Row, SqlValue

Answer = TypeVar("Answer")

ORDER_ID = derived_id("ord", "guest", "one")
PRODUCT_ID = derived_id("prd", "rice")
HOLD_SECONDS = 600
INSTRUCTIONS = Instructions(type="qr_code", qr_string="00020101")
APPROVAL_SECONDS = 604_800
GUEST = Principal(kind="guest", id="guest")
COMPANY_ID = derived_id("com", "toko")
BUYER = Principal(kind="buyer", id=derived_id("usr", "buyer"), company_id=COMPANY_ID)
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"
ADDRESS = ShippingAddress(
    name="Sari",
    line1="Jl. Kebon Jeruk 1",
    city="Jakarta",
    postal_code="11530",
    country="ID",
    latitude=-6.2,
    longitude=106.8,
)


def now_and_then(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of a coroutine that waits for nothing, as all here are; so one may be asked within another."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    raise AssertionError("the coroutine waits for something")


def rupiah(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def place(quantity: int = 2, method: Method = "card", by: Principal = GUEST) -> Place:
    line = PricedLine(
        product_id=PRODUCT_ID,
        sku="RICE-5",
        name="Beras 5 kg",
        quantity=quantity,
        unit_price=rupiah(7_500_000),
        price_source="retail",
        total=rupiah(7_500_000 * quantity),
    )
    return Place(
        market="retail" if by.company_id is None else "wholesale",
        customer_id=None if by.kind == "guest" else by.id,
        company_id=by.company_id,
        lines=(line,),
        total=line.total,
        email="sari@example.com",
        shipping_address=ADDRESS,
        provider="sandbox",
        method=method,
    )


class SqliteStorage:
    """A Durable Object's storage on the host's SQLite."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self.alarm_ms: int | None = None

    def execute(self, sql: str, *parameters: SqlValue) -> list[Row]:
        try:
            return [dict(row) for row in self._connection.execute(sql, parameters)]
        except sqlite3.IntegrityError as refusal:
            raise ConstraintViolated(str(refusal)) from refusal

    def transaction(self, work: Callable[[], None]) -> None:
        alarm_ms = self.alarm_ms
        self._connection.execute("BEGIN")
        try:
            work()
        except BaseException:
            self._connection.execute("ROLLBACK")
            self.alarm_ms = alarm_ms
            raise
        self._connection.execute("COMMIT")

    def wake_at(self, moment_ms: int) -> None:
        self.alarm_ms = moment_ms


class Hours:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class OrderWorld:
    """One order's object, with what it told of its changes."""

    clock: Hours = field(default_factory=Hours)
    storage: SqliteStorage = field(default_factory=SqliteStorage)
    changes: list[str | None] = field(default_factory=list)

    def history(self) -> StoredHistory:
        return StoredHistory(self.storage, lambda: to_milliseconds(self.clock()))

    def order(self, kind: str = "service", credential: str | None = None) -> OrderAggregate:
        return self.order_for(Principal.model_validate({"kind": kind, "id": kind, "credential": credential}))

    def order_for(self, principal: Principal) -> OrderAggregate:
        call = Call(principal=principal, traceparent=TRACEPARENT, deadline_ms=2**52)
        return OrderAggregate(self.history(), call, self.clock, self.changes.append)

    def place(self, token: str = "tok_ok", quantity: int = 2, method: Method = "card") -> str:
        """Place the order as a guest, who is given this access token."""
        placed = self.place_by(GUEST, token, quantity, method)
        assert placed.access_token is not None
        return placed.access_token

    def place_by(
        self, principal: Principal, token: str = "tok_ok", quantity: int = 2, method: Method = "card"
    ) -> PlacedOrder:
        """Place the order as this person."""
        command = place(quantity, method, principal)
        means = PaymentMeans(token=token)
        request = PlaceAtPrices(order_id=ORDER_ID, fingerprint="same", means=means, command=command)
        return now_and_then(self.order_for(principal).place(request)).order

    def event_types(self) -> list[str]:
        return [each.event.type for each in self.history().recorded()]


def command(world: OrderWorld, what: Command) -> None:
    """Carry out the command as the saga would."""
    now_and_then(world.order().carry_out(CarryOut(command=what)))


class Crash(BaseException):
    """The process dies here."""


class Breaking:
    """Counts the calls to a fake; the test may have any of them break before or after its effect."""

    def __init__(self) -> None:
        self.calls = 0
        self.breaks: Callable[[int], str | None] = lambda _call: None

    def before(self) -> int:
        self.calls += 1
        if self.breaks(self.calls) == "before":
            raise Unavailable("it broke before it acted")
        return self.calls

    def after(self, call: int) -> None:
        if self.breaks(call) == "crash":
            raise Crash("it acted, and the caller died")
        if self.breaks(call) == "after":
            raise Unavailable("it acted, but the answer was lost")


class Shop:
    """Stock, money and prices: what must agree with the order in the end.

    A payment by QRIS waits until the test pays or fails it; a hold ends with the clock.
    """

    def __init__(self, pieces: int = 10, faults: Breaking | None = None, clock: Hours | None = None) -> None:
        self.on_hand = pieces
        self.reservation: str | None = None
        self.hold_ends: datetime | None = None
        self.holds = 0
        self.quantity = 0
        self.charged = self.refunded = self.charges = 0
        self.payment: PaymentStatus | None = None
        self.payment_ends: str | None = None
        self.cancelled = self.given_up = False
        self.refunds = "at once"
        self.version = 0
        self.shown: tuple[object, ...] = ()
        self.sold = True
        self.faults = faults or Breaking()
        self.clock = clock or Hours()

    async def price_lines(self, request: PriceLines) -> PricedLines:
        self.faults.before()
        if not self.sold:
            raise Invalid("it is not sold any more", code="not_sold_in_market")
        return PricedLines(lines=[], total=rupiah(0))

    async def reserve(self, request: ReserveStock) -> Reservation:
        call = self.faults.before()
        wanted = sum(line.quantity for line in request.lines)
        if self.reservation == "released":
            raise Conflict("the hold has ended", code="reservation_ended")
        if self.reservation is None or self._hold_is_over():
            if wanted > self.on_hand:
                missing: list[JsonValue] = [{"product_id": PRODUCT_ID, "requested": wanted, "available": self.on_hand}]
                raise Conflict("not enough", code="insufficient_inventory", details={"missing": missing})
            self.reservation, self.quantity, self.holds = "held", wanted, self.holds + 1
            self.hold_ends = self.clock() + timedelta(seconds=HOLD_SECONDS)
        self.faults.after(call)
        return self._reservation(request.order_id)

    async def confirm(self, request: OrderStock) -> Reservation:
        call = self.faults.before()
        if self.reservation not in ("held", "confirmed") or self._hold_is_over():
            raise Conflict("the hold has ended", code="reservation_ended")
        if self.reservation == "held":
            self.reservation, self.on_hand = "confirmed", self.on_hand - self.quantity
        self.faults.after(call)
        return self._reservation(request.order_id)

    async def release(self, request: OrderStock) -> Reservation:
        call = self.faults.before()
        if self.reservation == "confirmed":
            self.on_hand += self.quantity
        self.reservation = "released"
        self.faults.after(call)
        return self._reservation(request.order_id)

    async def request_payment(self, request: RequestPayment) -> Payment:
        call = self.faults.before()
        if self.cancelled:
            raise Conflict("it was cancelled", code="payment_cancelled")
        if self.payment is None and request.method == "qris":
            self.payment, self.payment_ends = "pending", request.expires_at
        if self.payment is None and request.token == "tok_declined":
            self.payment = "declined"
        if self.payment is None:
            self._capture(request.amount)
        self.faults.after(call)
        return self._payment(request.order_id)

    async def check_payment(self, request: CheckPayment) -> Payment:
        call = self.faults.before()
        self.faults.after(call)
        return self._payment(ORDER_ID)

    async def cancel_payment(self, request: CancelPayment) -> Payment:
        call = self.faults.before()
        self.cancelled = True
        if self.payment in (None, "pending"):
            self.payment = "cancelled"
        self._give_back()
        self.faults.after(call)
        return self._payment(request.order_id)

    def pay(self) -> None:
        """The customer pays, be it too late; what was cancelled goes back by itself."""
        if self.charges == 0 and self.payment is not None:
            self._capture(place().total)
            if self.cancelled:
                self._give_back()

    def finish_refund(self) -> None:
        """The provider, or staff, give back what is still owed."""
        self.refunds = "at once"
        self._give_back()

    def _capture(self, amount: Money) -> None:
        self.payment, self.charged, self.charges = "captured", amount.amount, self.charges + 1

    def _give_back(self) -> None:
        if self.charged > self.refunded:
            if self.refunds == "at once":
                self.payment, self.refunded = "refunded", self.charged
            elif self.refunds == "never":
                self.payment = "refund_due"

    def _hold_is_over(self) -> bool:
        return self.reservation == "held" and self.hold_ends is not None and self.hold_ends <= self.clock()

    def refund_by_staff(self) -> None:
        self.payment, self.refunded = "refunded", self.charged

    def fail_refund(self) -> None:
        """The provider could not get the money to the customer after all, so staff have to."""
        self.payment, self.refunded = "refund_due", 0

    def _reservation(self, order_id: str) -> Reservation:
        allocation = Allocation(product_id=PRODUCT_ID, warehouse_id="whs", warehouse_code="JKT", quantity=self.quantity)
        held = [allocation] if self.reservation in ("held", "confirmed") else []
        return Reservation.model_validate(
            {
                "order_id": order_id,
                "status": self.reservation,
                "expires_at": rfc3339(self.hold_ends) if self.hold_ends else None,
                "allocations": [each.model_dump() for each in held],
            }
        )

    def _payment(self, order_id: str) -> Payment:
        shown = (self.payment, self.charged, self.refunded)
        self.version, self.shown = self.version + (shown != self.shown), shown
        failure = Failure(code="card_declined", detail="the bank said no") if self.payment == "declined" else None
        return Payment.model_validate(
            {
                "id": "pay_1",
                "order_id": order_id,
                "provider": "sandbox",
                "method": "card",
                "status": self.payment,
                "amount": place().total,
                "captured": rupiah(self.charged),
                "given_up": self.given_up or self.cancelled,
                "refunded": rupiah(self.refunded),
                "failure": failure,
                "instructions": INSTRUCTIONS if self.payment == "pending" else None,
                "expires_at": self.payment_ends,
                "version": self.version,
                "created_at": "",
                "updated_at": "",
            }
        )


class BreakingOrders:
    """The order's object behind a line that breaks as the services do."""

    def __init__(self, order: OrderAggregate, faults: Breaking) -> None:
        self._order = order
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[[BaseModel], Awaitable[Any]]:
        async def ask(request: BaseModel) -> Any:
            call = self._faults.before()
            answer = await getattr(self._order, name)(request)
            self._faults.after(call)
            return answer

        return ask


class Nobody:
    """The user service of an order that no company pays for, which is never asked."""

    def __getattr__(self, name: str) -> Callable[[BaseModel], Awaitable[Any]]:
        raise AssertionError(f"{name} was asked for an order without a company")


def services(
    world: OrderWorld, shop: Shop, order_faults: Breaking | None = None, spending: Spending | None = None
) -> Services:
    return Services(
        orders=cast(Aggregate, BreakingOrders(world.order(), order_faults or Breaking())),
        pricing=shop,
        spending=spending or cast(Spending, Nobody()),
        reservations=shop,
        charges=shop,
        clock=world.clock,
        approval_seconds=APPROVAL_SECONDS,
    )
