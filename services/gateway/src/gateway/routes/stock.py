"""The routes of stock: what can be ordered, and for staff the warehouses and what lies in them."""

from pydantic import BaseModel, ConfigDict

from gateway.answers import StockList, WarehouseList
from gateway.http import Response, json_of, json_text
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.inventory import (
    Admin,
    Availability,
    GetAvailability,
    ListStock,
    NewWarehouse,
    SetStock,
    Stock,
    StockLevel,
    StockQuantity,
    Warehouse,
)
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.product import Catalogue, GetProduct


class StockCount(BaseModel):
    """What lies on the shelf; with `expected_on_hand` it is refused when another count came between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_hand: StockQuantity
    low_stock_threshold: StockQuantity = 0
    expected_on_hand: StockQuantity | None = None


async def get_availability(asked: Asked[Nothing]) -> Response:
    """How many pieces of a product can be ordered; inventory does not know which products there are."""
    await asked.ask(Catalogue).get_product(GetProduct(id=asked.path["id"]))
    return json_of(await asked.ask(Stock).get_availability(GetAvailability(product_id=asked.path["id"])))


async def list_warehouses(asked: Asked[Nothing]) -> Response:
    """All warehouses."""
    return json_text(await asked.ask(Admin).list_warehouses(asked.input))


async def create_warehouse(asked: Asked[NewWarehouse]) -> Response:
    """A new warehouse."""
    return json_of(await asked.ask(Admin).create_warehouse(asked.input), 201)


async def set_stock(asked: Asked[StockCount]) -> Response:
    """A count of one product in one warehouse, which inventory would take for any product id."""
    await asked.ask(Catalogue).get_product(GetProduct(id=asked.path["product_id"]))
    count = SetStock(
        warehouse_id=asked.path["id"],
        product_id=asked.path["product_id"],
        on_hand=asked.input.on_hand,
        low_stock_threshold=asked.input.low_stock_threshold,
        expected_on_hand=asked.input.expected_on_hand,
    )
    return json_of(await asked.ask(Admin).set_stock(count))


async def list_stock(asked: Asked[ListStock]) -> Response:
    """Stock levels."""
    return json_text(await asked.ask(Admin).list_stock(asked.input))


ROUTES = (
    Route(
        "GET",
        "/api/products/{id}/availability",
        Access.ANYONE,
        get_availability,
        Nothing,
        "How many can be ordered now; staff see the warehouses",
        output=Availability,
    ),
    Route("GET", "/api/warehouses", "stock:manage", list_warehouses, Nothing, "All warehouses", output=WarehouseList),
    Route(
        "POST",
        "/api/warehouses",
        "stock:manage",
        create_warehouse,
        NewWarehouse,
        "Add a warehouse",
        output=Warehouse,
        status=201,
        refuses=(409,),
    ),
    Route(
        "PUT",
        "/api/warehouses/{id}/stock/{product_id}",
        "stock:manage",
        set_stock,
        StockCount,
        "Record a count of the shelf",
        output=StockLevel,
        refuses=(409,),
    ),
    Route("GET", "/api/inventory", "stock:manage", list_stock, ListStock, "Stock levels", output=StockList),
)
