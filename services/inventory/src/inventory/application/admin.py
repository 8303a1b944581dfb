"""What staff do with warehouses and stock."""

from collections.abc import Callable
from datetime import datetime

from inventory.application import events
from inventory.application.expiry import expire
from inventory.application.ports import Reservations, Stock, Warehouses
from inventory.application.rounds import decided
from inventory.domain.errors import CodeTaken, WarehouseNotFound
from inventory.domain.stock import Level
from shared_kernel.clock import Clock
from shared_kernel.contracts import inventory as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.ids import new_id
from shared_kernel.rpc import Call, Json
from shared_kernel.sql import ConstraintViolated


class Admin:
    """The side of inventory for staff; `publish` sends what was put into the outbox."""

    def __init__(
        self,
        warehouses: Warehouses,
        stock: Stock,
        reservations: Reservations,
        call: Call,
        clock: Clock,
        publish: Callable[[], None],
    ) -> None:
        self._warehouses = warehouses
        self._stock = stock
        self._reservations = reservations
        self._call = call
        self._clock = clock
        self._publish = publish

    async def create_warehouse(self, request: contract.NewWarehouse) -> contract.Warehouse:
        """The new warehouse; CodeTaken."""
        self._call.principal.require("stock:manage")
        now = self._clock()
        warehouse = contract.Warehouse(id=new_id("whs", now), **request.model_dump())
        try:
            await self._warehouses.add(warehouse, now)
        except ConstraintViolated as taken:
            raise CodeTaken(f"another warehouse has the code {request.code}") from taken
        return warehouse

    async def list_warehouses(self, request: Nothing) -> Json:
        """All warehouses by code."""
        self._call.principal.require("stock:manage")
        return await self._warehouses.listed()

    async def set_stock(self, request: contract.SetStock) -> contract.StockLevel:
        """Record a count of the shelf; WarehouseNotFound, StockChanged, StockReserved."""
        self._call.principal.require("stock:manage")

        async def attempt(now: datetime) -> contract.StockLevel | None:
            before = await self._stock.level(request.warehouse_id, request.product_id, now)
            if before is None:
                raise WarehouseNotFound(f"there is no warehouse {request.warehouse_id}")
            if before.overdue:
                await expire(self._reservations, now, self._call.traceparent, [request.product_id])
                self._publish()
                return None
            after = before.counted(request.on_hand, request.low_stock_threshold, request.expected_on_hand)
            await self._saved(before, after, now)
            return _answer(after)

        return await decided(attempt, self._clock)

    async def list_stock(self, request: contract.ListStock) -> Json:
        """All levels, or the low ones."""
        self._call.principal.require("stock:manage")
        return await self._stock.listed(request.low, self._clock())

    async def _saved(self, before: Level, after: Level, now: datetime) -> None:
        told = [events.low(after, now, self._call.traceparent)] if after.became_low(before) else []
        await self._stock.save(after, now, told)
        if told:
            self._publish()


def _answer(level: Level) -> contract.StockLevel:
    return contract.StockLevel(
        warehouse_id=level.warehouse_id,
        warehouse_code=level.warehouse_code,
        product_id=level.product_id,
        on_hand=level.on_hand,
        reserved=level.reserved,
        available=level.available,
        low_stock_threshold=level.low_stock_threshold,
    )
