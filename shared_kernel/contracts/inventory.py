"""What the inventory service offers: stock to read, its care by staff, and reservations for orders."""

from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints

from shared_kernel.contracts.model import Health, Line, Message, Nothing, Quantity
from shared_kernel.ids import Id
from shared_kernel.rpc import Json

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
StockQuantity = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]


class Warehouse(Message):
    """A place that holds stock."""

    id: str
    code: str
    name: str
    latitude: float
    longitude: float


class NewWarehouse(Message):
    """A warehouse as staff describe it; the code is unique."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$")]
    name: Line
    latitude: Latitude
    longitude: Longitude


class StockLevel(Message):
    """One product in one warehouse: available is on hand less reserved."""

    warehouse_id: str
    warehouse_code: str
    product_id: str
    on_hand: int
    reserved: int
    available: int
    low_stock_threshold: int


class SetStock(Message):
    """A count of the shelf; with `expected_on_hand` it is refused when another count came between."""

    warehouse_id: str
    product_id: Id
    on_hand: StockQuantity
    low_stock_threshold: StockQuantity = 0
    expected_on_hand: StockQuantity | None = None


class GetAvailability(Message):
    """Which product."""

    product_id: str


class Availability(Message):
    """How many pieces can be ordered now; `warehouses` is for staff."""

    product_id: str
    available: int
    warehouses: list[StockLevel] | None = None


class ListStock(Message):
    """All stock levels, or only those at or below their threshold."""

    low: bool = False


class Destination(Message):
    """Where the goods go, for the choice of the nearest warehouses."""

    latitude: Latitude
    longitude: Longitude


class DemandLine(Message):
    """So many pieces of a product."""

    product_id: Id
    quantity: Quantity


class ReserveStock(Message):
    """All lines of one order, to be held together or not at all."""

    order_id: str
    lines: Annotated[list[DemandLine], Field(min_length=1, max_length=100)]
    destination: Destination


class Allocation(Message):
    """So many pieces of a product out of one warehouse."""

    product_id: str
    warehouse_id: str
    warehouse_code: str
    quantity: int


class Reservation(Message):
    """An order's hold on stock; `released` may be answered for one that was never made."""

    order_id: str
    status: Literal["held", "confirmed", "released", "expired"]
    expires_at: str | None = None
    allocations: list[Allocation]


class OrderStock(Message):
    """Which order's reservation."""

    order_id: str


class Stock(Protocol):
    """For the gateway: what anyone may read."""

    async def get_availability(self, request: GetAvailability) -> Availability:
        """What can be ordered now, zero for a product without stock; staff see the warehouses."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer."""
        ...


class Admin(Protocol):
    """For staff, through the gateway; anyone else is Unauthenticated or Forbidden."""

    async def create_warehouse(self, request: NewWarehouse) -> Warehouse:
        """The new warehouse; Conflict `code_taken`."""
        ...

    async def list_warehouses(self, request: Nothing) -> Json:
        """`{"items": [Warehouse]}` by code."""
        ...

    async def set_stock(self, request: SetStock) -> StockLevel:
        """The new level; NotFound `warehouse_not_found`; Conflict `stock_changed` when `expected_on_hand`
        differs, `stock_reserved` when fewer would be on hand than are reserved."""
        ...

    async def list_stock(self, request: ListStock) -> Json:
        """`{"items": [StockLevel]}`."""
        ...


class Reservations(Protocol):
    """For the order service. Every method may be repeated, and answers what was recorded."""

    async def reserve(self, request: ReserveStock) -> Reservation:
        """Hold all lines, nearest warehouses first. Conflict `insufficient_inventory` with
        `details["missing"]` = `[{"product_id", "requested", "available"}]`; Conflict
        `reservation_ended` when the order was released. One whose hold has expired holds anew what is there."""
        ...

    async def confirm(self, request: OrderStock) -> Reservation:
        """Take the held pieces off the shelf for good. Conflict `reservation_ended` when the hold has
        expired or was released; NotFound when there is none."""
        ...

    async def release(self, request: OrderStock) -> Reservation:
        """Give back what is held or was confirmed. For an order that holds nothing (any more) this is recorded
        too, so that a reservation that arrives late is refused for good."""
        ...
