"""Which warehouses an order's pieces come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.allocation import allocate, demand, distance_metres
from inventory.domain.errors import InsufficientInventory
from inventory.domain.stock import Level
from shared_kernel.contracts.inventory import Allocation, DemandLine, Destination
from shared_kernel.ids import derived_id

JAKARTA = Destination(latitude=-6.2088, longitude=106.8456)
SURABAYA = Destination(latitude=-7.2575, longitude=112.7521)
PRODUCTS = ["prd_a", "prd_b", "prd_c"]


def level(product_id: str, warehouse_id: str, on_hand: int, reserved: int = 0, at: Destination = JAKARTA) -> Level:
    return Level(
        product_id=product_id,
        warehouse_id=warehouse_id,
        warehouse_code=warehouse_id.upper(),
        latitude=at.latitude,
        longitude=at.longitude,
        on_hand=on_hand,
        reserved=reserved,
    )


def taken(pieces: tuple[Allocation, ...]) -> dict[tuple[str, str], int]:
    return {(piece.product_id, piece.warehouse_id): piece.quantity for piece in pieces}


places = st.builds(Destination, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))


@st.composite
def shelves(draw: st.DrawFn) -> list[Level]:
    warehouses = draw(st.lists(places, min_size=1, max_size=5))
    levels = []
    for number, place in enumerate(warehouses):
        for product_id in draw(st.sets(st.sampled_from(PRODUCTS))):
            on_hand = draw(st.integers(0, 20))
            levels.append(level(product_id, f"whs_{number}", on_hand, draw(st.integers(0, on_hand)), place))
    return levels


wishes = st.dictionaries(st.sampled_from(PRODUCTS), st.integers(1, 40), min_size=1)


@given(shelves(), wishes, places)
def test_either_all_is_allocated_from_what_is_there_or_what_is_missing_is_named(
    levels: list[Level], wanted: dict[str, int], destination: Destination
) -> None:
    available = {
        product_id: sum(one.available for one in levels if one.product_id == product_id) for product_id in wanted
    }
    lacking = [
        {"product_id": product_id, "requested": wanted[product_id], "available": available[product_id]}
        for product_id in sorted(wanted)
        if available[product_id] < wanted[product_id]
    ]
    if lacking:
        with pytest.raises(InsufficientInventory) as refusal:
            allocate(wanted, levels, destination)
        assert refusal.value.details == {"missing": lacking}
        return
    pieces = taken(allocate(wanted, levels, destination))
    on_shelves = {(one.product_id, one.warehouse_id): one.available for one in levels}
    assert all(0 < quantity <= on_shelves[place] for place, quantity in pieces.items())
    for product_id, quantity in wanted.items():
        assert sum(piece for place, piece in pieces.items() if place[0] == product_id) == quantity
    assert {product_id for product_id, _ in pieces} == set(wanted)


@given(shelves(), wishes, places)
def test_a_farther_warehouse_gives_only_what_every_nearer_one_has_not(
    levels: list[Level], wanted: dict[str, int], destination: Destination
) -> None:
    try:
        pieces = taken(allocate(wanted, levels, destination))
    except InsufficientInventory:
        return
    for far in levels:
        if pieces.get((far.product_id, far.warehouse_id), 0) == 0:
            continue
        for near in levels:
            if near.product_id == far.product_id and distance_metres(near, destination) < distance_metres(
                far, destination
            ):
                assert pieces.get((near.product_id, near.warehouse_id), 0) == near.available


@given(shelves(), wishes, places, st.data())
def test_the_order_of_the_input_does_not_matter(
    levels: list[Level], wanted: dict[str, int], destination: Destination, data: st.DataObject
) -> None:
    def outcome(some: list[Level], of: dict[str, int]) -> object:
        try:
            return allocate(of, some, destination)
        except InsufficientInventory as refusal:
            return refusal.details

    mixed = data.draw(st.permutations(levels))
    assert outcome(mixed, dict(reversed(wanted.items()))) == outcome(levels, wanted)


def test_the_nearest_warehouse_gives_first_and_the_next_one_the_rest() -> None:
    levels = [level("prd_a", "whs_far", 9, at=SURABAYA), level("prd_a", "whs_near", 5, reserved=2)]
    assert taken(allocate({"prd_a": 4}, levels, JAKARTA)) == {("prd_a", "whs_near"): 3, ("prd_a", "whs_far"): 1}


def test_of_two_equally_far_warehouses_the_one_with_the_lower_id_gives() -> None:
    levels = [level("prd_a", "whs_2", 5), level("prd_a", "whs_1", 5)]
    assert taken(allocate({"prd_a": 3}, levels, SURABAYA)) == {("prd_a", "whs_1"): 3}


def test_a_product_without_any_stock_is_missing_whole() -> None:
    with pytest.raises(InsufficientInventory) as refusal:
        allocate({"prd_x": 2}, [level("prd_a", "whs_1", 5)], JAKARTA)
    assert refusal.value.details == {"missing": [{"product_id": "prd_x", "requested": 2, "available": 0}]}


def test_demand_of_a_product_on_two_lines_is_one_sum() -> None:
    pen, cup = derived_id("prd", "pen"), derived_id("prd", "cup")
    lines = [DemandLine(product_id=one, quantity=n) for one, n in ((pen, 2), (cup, 1), (pen, 3))]
    assert demand(lines) == {pen: 5, cup: 1}


@pytest.mark.parametrize(
    ("place", "destination", "metres"),
    [
        (JAKARTA, JAKARTA, 0),
        (JAKARTA, SURABAYA, 662_000),
        (Destination(latitude=0, longitude=179.5), Destination(latitude=0, longitude=-179.5), 111_195),
        (Destination(latitude=60, longitude=0), Destination(latitude=60, longitude=10), 555_450),
        (Destination(latitude=90, longitude=0), Destination(latitude=-90, longitude=0), 20_015_115),
    ],
)
def test_distances_are_those_of_the_globe(place: Destination, destination: Destination, metres: int) -> None:
    assert distance_metres(level("prd_a", "whs_1", 1, at=place), destination) == pytest.approx(metres, rel=0.01)
