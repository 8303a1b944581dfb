"""Which warehouses an order's pieces come from: the nearest first, split where one has not enough."""

from collections.abc import Iterable, Mapping, Sequence
from math import asin, cos, radians, sin, sqrt

from inventory.domain.errors import InsufficientInventory
from inventory.domain.stock import Level
from shared_kernel.contracts.inventory import Allocation, DemandLine, Destination

EARTH_RADIUS_METRES = 6_371_008.8
"""The mean radius of the Earth (IUGG)."""


def demand(lines: Iterable[DemandLine]) -> dict[str, int]:
    """How many pieces of each product are wanted in all, by product id."""
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    return dict(sorted(wanted.items()))


def distance_metres(level: Level, destination: Destination) -> int:
    """The great-circle distance from the level's warehouse, by the haversine formula, in whole metres.

    Whole metres, so that a difference in the last bits of a float does not decide between two warehouses.
    """
    north, south = radians(level.latitude), radians(destination.latitude)
    half_chord = (
        sin((north - south) / 2) ** 2
        + cos(north) * cos(south) * sin(radians(level.longitude - destination.longitude) / 2) ** 2
    )
    return round(2 * EARTH_RADIUS_METRES * asin(min(1.0, sqrt(half_chord))))


def allocate(wanted: Mapping[str, int], levels: Iterable[Level], destination: Destination) -> tuple[Allocation, ...]:
    """The pieces of each warehouse that meet the demand, by product and warehouse id.

    Warehouses that are equally far are taken by their id. InsufficientInventory names every product of
    which too little is available in all warehouses together.
    """
    by_product: dict[str, list[Level]] = {product_id: [] for product_id in wanted}
    for level in levels:
        if level.product_id in by_product:
            by_product[level.product_id].append(level)
    _require_enough(wanted, by_product)
    pieces: list[Allocation] = []
    for product_id, quantity in wanted.items():
        nearest = sorted(
            by_product[product_id], key=lambda level: (distance_metres(level, destination), level.warehouse_id)
        )
        pieces += _taken(quantity, nearest)
    return tuple(sorted(pieces, key=lambda piece: (piece.product_id, piece.warehouse_id)))


def _taken(quantity: int, levels: Sequence[Level]) -> Iterable[Allocation]:
    for level in levels:
        taken = min(quantity, level.available)
        quantity -= taken
        if taken > 0:
            yield Allocation(
                product_id=level.product_id,
                warehouse_id=level.warehouse_id,
                warehouse_code=level.warehouse_code,
                quantity=taken,
            )


def _require_enough(wanted: Mapping[str, int], by_product: Mapping[str, Sequence[Level]]) -> None:
    available = {product_id: sum(level.available for level in levels) for product_id, levels in by_product.items()}
    missing = [product_id for product_id in sorted(wanted) if available[product_id] < wanted[product_id]]
    if missing:
        raise InsufficientInventory(
            "there is not enough stock for this order",
            details={
                "missing": [
                    {"product_id": one, "requested": wanted[one], "available": available[one]} for one in missing
                ]
            },
        )
