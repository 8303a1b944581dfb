"""What the use cases need of a database.

Whatever writes does so in one transaction, and raises ConstraintViolated when the schema refuses it: mostly
because another was quicker than the reading on which the change was decided.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from inventory.domain.reservation import Change, Reservation
from inventory.domain.stock import Level
from shared_kernel.contracts.inventory import StockLevel, Warehouse
from shared_kernel.events import Event
from shared_kernel.rpc import Json


class Situation(BaseModel):
    """What an allocation is decided on: the order's reservation if it has one, and the levels of its products."""

    model_config = ConfigDict(frozen=True)

    reservation: Reservation | None
    levels: tuple[Level, ...]


class Reservations(Protocol):
    """All reservations, and the counters that they move."""

    async def situation(self, order_id: str, product_ids: Sequence[str], now: datetime) -> Situation:
        """Everything that is needed to reserve these products for the order, of one moment."""
        ...

    async def find(self, order_id: str) -> Reservation | None:
        """The order's reservation, None when there never was one."""
        ...

    async def overdue(self, now: datetime, limit: int, product_ids: Sequence[str] | None) -> list[Reservation]:
        """Holds that have run out, the oldest first: all, or those with any of these products."""
        ...

    async def add(self, reservation: Reservation, now: datetime, told: Sequence[Event], low: Sequence[Event]) -> None:
        """Record a new reservation and reserve its pieces.

        The events `told` go out; of `low`, one for each allocation in its order, those whose level crosses
        its threshold by this, completed with `available` and `low_stock_threshold`.
        """
        ...

    async def renew(self, reservation: Reservation, now: datetime, told: Sequence[Event], low: Sequence[Event]) -> None:
        """Record a new hold in place of one that has run out, with all that `add` does."""
        ...

    async def change(self, changes: Sequence[Change], now: datetime, told: Sequence[Event]) -> None:
        """Record the changes with their effects on the stock: all of them, or none."""
        ...


class Stock(Protocol):
    """The levels of all products in all warehouses."""

    async def level(self, warehouse_id: str, product_id: str, now: datetime) -> Level | None:
        """One level, at version 0 when the warehouse has never had the product; None without the warehouse."""
        ...

    async def save(self, level: Level, now: datetime, told: Sequence[Event]) -> None:
        """Record a level whose version is one more than what was read."""
        ...

    async def of_product(self, product_id: str, now: datetime) -> list[StockLevel]:
        """A product's levels by warehouse; what is held by overdue holds is not counted as reserved."""
        ...

    async def listed(self, low: bool, now: datetime) -> Json:
        """`{"items": [StockLevel]}` by product and warehouse: all, or those at or below their threshold."""
        ...

    async def answers(self) -> bool:
        """Whether the database answers a query."""
        ...


class Warehouses(Protocol):
    """The places that hold stock."""

    async def add(self, warehouse: Warehouse, now: datetime) -> None:
        """Record a new warehouse; ConstraintViolated when its code is taken."""
        ...

    async def listed(self) -> Json:
        """`{"items": [Warehouse]}` by code."""
        ...
