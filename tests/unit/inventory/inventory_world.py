"""An inventory service on SQLite in memory, with its real schema and adapters, and a clock that tests turn."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from inventory.application.admin import Admin
from inventory.application.availability import Stock
from inventory.application.expiry import sweep
from inventory.application.reservations import Reservations
from inventory.infrastructure.d1 import D1Reservations, D1Stock, D1Warehouses
from shared_kernel.contracts import inventory as contract
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Call, Principal
from shared_kernel.sql import ConstraintViolated, Outcome, Row, SqlValue, Statement
from tests.unit.sqlite_database import SqliteDatabase, migrations

Answer = TypeVar("Answer")
Kind = Literal["guest", "staff", "service"]

HOLD_SECONDS = 600
JAKARTA = contract.Destination(latitude=-6.2, longitude=106.8)
PEN, CUP = sorted(derived_id("prd", name) for name in ("pen", "cup"))


class SharedDatabase(SqliteDatabase):
    """Each call first lets others run, as a call over the network does."""

    batches_refused = 0

    def query(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """What a statement gives, at once."""
        return self._run(Statement(sql, parameters)).rows

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        await asyncio.sleep(0)
        return await super().rows(sql, *parameters)

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        await asyncio.sleep(0)
        try:
            return await super().batch(statements)
        except ConstraintViolated:
            self.batches_refused += 1
            raise


class World:
    """One inventory service: its use cases for each kind of caller, and what its database holds."""

    def __init__(self) -> None:
        self.database = SharedDatabase(migrations("inventory"))
        self.now = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
        self.published = 0
        self.stored = D1Reservations(self.database)
        self.orders = self.reservations("service")
        self.staff = self.admin("staff")

    def reservations(self, kind: Kind) -> Reservations:
        """The contract Reservations for a caller of this kind."""
        return Reservations(self.stored, _call(kind), self.clock, HOLD_SECONDS, self._publish)

    def admin(self, kind: Kind) -> Admin:
        """The contract Admin for a caller of this kind."""
        levels, warehouses = D1Stock(self.database), D1Warehouses(self.database)
        return Admin(warehouses, levels, self.stored, _call(kind), self.clock, self._publish)

    def stock(self, kind: Kind) -> Stock:
        """The contract Stock for a caller of this kind."""
        return Stock(D1Stock(self.database), _call(kind), self.clock)

    def clock(self) -> datetime:
        """The time, which stands still."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def warehouse(self, code: str, latitude: float = -6.2, longitude: float = 106.8) -> str:
        """The id of a new warehouse."""
        request = contract.NewWarehouse(code=code, name=code, latitude=latitude, longitude=longitude)
        return run(self.staff.create_warehouse(request)).id

    def count(self, warehouse_id: str, product_id: str, on_hand: int, threshold: int = 0) -> contract.StockLevel:
        """Record a count of the shelf."""
        return run(self.staff.set_stock(counted(warehouse_id, product_id, on_hand, threshold)))

    def reserve(self, order_id: str, **quantities: int) -> contract.Reservation:
        """Reserve pens and cups for an order to Jakarta."""
        return run(self.orders.reserve(order(order_id, **quantities)))

    def confirm(self, order_id: str) -> contract.Reservation:
        """Confirm an order's hold."""
        return run(self.orders.confirm(contract.OrderStock(order_id=order_id)))

    def release(self, order_id: str) -> contract.Reservation:
        """Release an order's reservation."""
        return run(self.orders.release(contract.OrderStock(order_id=order_id)))

    def sweep(self) -> int:
        """What the cron does."""
        return run(sweep(self.stored, self.clock))

    def available(self, product_id: str) -> int:
        """How many pieces a guest is told of."""
        request = contract.GetAvailability(product_id=product_id)
        return run(self.stock("guest").get_availability(request)).available

    def counters(self) -> list[tuple[SqlValue, SqlValue]]:
        """On hand and reserved of each level, by product and warehouse; checks that holds and counters agree."""
        wrong = self.database.query(
            """SELECT * FROM stock WHERE reserved <> (
              SELECT COALESCE(SUM(quantity), 0) FROM reservation_lines AS line JOIN reservations USING (order_id)
              WHERE status = 'held' AND line.product_id = stock.product_id AND line.warehouse_id = stock.warehouse_id
            )"""
        )
        assert wrong == []
        rows = self.database.query("SELECT on_hand, reserved FROM stock ORDER BY product_id, warehouse_id")
        return [(row["on_hand"], row["reserved"]) for row in rows]

    def events(self, kind: str) -> list[Any]:
        """The data of the outbox's events of a type, in order."""
        told = [json.loads(str(row["event"])) for row in self.database.query("SELECT event FROM outbox")]
        assert len({event["id"] for event in told}) == len(told)
        return [event["data"] for event in told if event["type"] == kind]

    def _publish(self) -> None:
        self.published += 1


def order(order_id: str, pens: int = 0, cups: int = 0) -> contract.ReserveStock:
    """A request for so many pens and cups, to Jakarta."""
    lines = [
        contract.DemandLine(product_id=product_id, quantity=quantity)
        for product_id, quantity in ((PEN, pens), (CUP, cups))
        if quantity
    ]
    return contract.ReserveStock(order_id=order_id, lines=lines, destination=JAKARTA)


def counted(
    warehouse_id: str, product_id: str, on_hand: int, threshold: int = 0, expected: int | None = None
) -> contract.SetStock:
    """A count of the shelf."""
    return contract.SetStock(
        warehouse_id=warehouse_id,
        product_id=product_id,
        on_hand=on_hand,
        low_stock_threshold=threshold,
        expected_on_hand=expected,
    )


def run(work: Awaitable[Answer]) -> Answer:
    """What the work gives, in a loop of its own."""

    async def whole() -> Answer:
        return await work

    return asyncio.run(whole())


def _call(kind: Kind) -> Call:
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    return Call(principal=Principal(kind=kind, id="someone"), traceparent=trace, deadline_ms=2**53)
