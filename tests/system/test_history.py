"""An order as it was, at every version and time of its history, and who may see it."""

from datetime import timedelta

import httpx
import pytest

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.order import Order, PlacedOrder
from tests.system.shop import Shop, order_of, problem

STATUSES = {
    "OrderDrafted": "draft",
    "ItemAdded": "draft",
    "OrderPlaced": "pending",
    "InventoryReserved": "pending",
    "PaymentRequested": "awaiting_payment",
    "PaymentCaptured": "awaiting_payment",
    "OrderConfirmed": "confirmed",
}
GUESS = "guess" + 27 * "s"
NO_ORDER = "ord_00000000000000000000000000"


@pytest.fixture(scope="module")
def placed(shop: Shop) -> PlacedOrder:
    """An order as it was answered to the guest who placed it, confirmed by now."""
    taken = shop.place_order(order_of({shop.make_product(5).id: 1}))
    assert shop.wait_until_ended(taken).status == "confirmed"
    return taken


def _as_staff(shop: Shop, order: PlacedOrder, query: str) -> httpx.Response:
    return shop.ask("GET", f"/api/orders/{order.id}?{query}", headers=shop.as_staff)


def _with(shop: Shop, path: str, token: str | None) -> httpx.Response:
    return shop.ask("GET", path, headers=None if token is None else {"authorization": f"Bearer {token}"})


def test_history_is_numbered_timed_and_names_who_acted(shop: Shop, placed: PlacedOrder) -> None:
    events = shop.events(placed.id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    times = [event.occurred_at for event in events]
    assert times == sorted(times)
    assert all(event.actor for event in events)
    assert {event.version for event in events} == {1}


def test_order_at_each_version_is_as_it_was_then(shop: Shop, placed: PlacedOrder) -> None:
    for event in shop.events(placed.id):
        response = _as_staff(shop, placed, f"version={event.sequence}")
        order = Order.model_validate_json(response.text)
        assert (order.version, order.status) == (event.sequence, STATUSES[event.type])
    assert order.model_dump() == shop.order(placed.id).model_dump()


def test_version_three_of_an_order_of_one_line_is_the_order_as_it_was_placed(shop: Shop, placed: PlacedOrder) -> None:
    then = PlacedOrder.model_validate_json(_as_staff(shop, placed, "version=3").text)
    assert then == placed.model_copy(update={"access_token": None})


def test_order_at_each_time_is_as_it_was_then(shop: Shop, placed: PlacedOrder) -> None:
    events = shop.events(placed.id)
    for event in events:
        last = max(other.sequence for other in events if other.occurred_at <= event.occurred_at)
        response = _as_staff(shop, placed, f"at={rfc3339(event.occurred_at)}")
        assert Order.model_validate_json(response.text).version == last


def test_before_its_first_event_and_beyond_its_last_version_there_is_no_order(shop: Shop, placed: PlacedOrder) -> None:
    first = shop.events(placed.id)[0].occurred_at
    problem(_as_staff(shop, placed, f"at={rfc3339(first - timedelta(seconds=1))}"), 404, "order_not_found")
    problem(_as_staff(shop, placed, "version=1000"), 404, "version_not_found")


@pytest.mark.parametrize(
    "query", ["version=0", "version=x", "at=yesterday", "at=1700000000", "at=2026-11-21T08:00:00", "unknown=1"]
)
def test_unfit_question_about_the_past_is_refused(shop: Shop, placed: PlacedOrder, query: str) -> None:
    problem(_as_staff(shop, placed, query), 422, "invalid")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_time_at_the_end_of_the_calendar_is_no_fault(shop: Shop, placed: PlacedOrder, moment: str) -> None:
    assert _as_staff(shop, placed, f"at={moment}").status_code in (200, 404, 422)


def test_version_and_time_together_are_refused(shop: Shop, placed: PlacedOrder) -> None:
    problem(_as_staff(shop, placed, "version=3&at=2026-11-21T08:00:00Z"), 422, "invalid")


def test_guest_sees_his_order_its_history_and_its_payment_with_his_token(shop: Shop, placed: PlacedOrder) -> None:
    order = shop.order(placed.id)
    for path in (f"/api/orders/{order.id}", f"/api/orders/{order.id}/events", f"/api/payments/{order.payment.id}"):
        assert _with(shop, path, placed.access_token).status_code == 200
        assert shop.ask("GET", f"{path}?access_token={placed.access_token}").status_code == 200


def test_token_is_given_only_to_the_guest_who_placed_the_order(shop: Shop, placed: PlacedOrder) -> None:
    assert placed.access_token
    for token in (placed.access_token, shop.staff_token):
        assert "access_token" not in _with(shop, f"/api/orders/{placed.id}", token).json()


def test_without_a_token_an_order_is_answered_401(shop: Shop, placed: PlacedOrder) -> None:
    payment_id = shop.order(placed.id).payment.id
    for path in (f"/api/orders/{placed.id}", f"/api/orders/{placed.id}/events", f"/api/payments/{payment_id}"):
        response = _with(shop, path, None)
        problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_with_the_token_of_another_order_there_is_no_such_order(shop: Shop, placed: PlacedOrder) -> None:
    other = shop.place_order(order_of({shop.make_product(1).id: 1}))
    payment_id = shop.order(placed.id).payment.id
    problem(_with(shop, f"/api/orders/{placed.id}", other.access_token), 404, "order_not_found")
    problem(_with(shop, f"/api/orders/{placed.id}/events", other.access_token), 404, "order_not_found")
    problem(_with(shop, f"/api/payments/{payment_id}", other.access_token), 404, "payment_not_found")


def test_order_that_does_not_exist_is_told_apart_from_another_s_by_nobody_but_staff(
    shop: Shop, placed: PlacedOrder
) -> None:
    stranger = problem(_with(shop, f"/api/orders/{placed.id}", GUESS), 404, "order_not_found")
    nobody = problem(_with(shop, f"/api/orders/{NO_ORDER}", GUESS), 404, "order_not_found")
    assert stranger.detail == nobody.detail
    problem(_with(shop, f"/api/orders/{NO_ORDER}", shop.staff_token), 404, "order_not_found")


def test_staff_routes_refuse_a_guest(shop: Shop, placed: PlacedOrder) -> None:
    for path in ("/api/orders", "/api/warehouses", "/api/inventory", "/api/sandbox/charges"):
        problem(_with(shop, path, None), 401, "unauthenticated")
        assert _with(shop, path, placed.access_token).status_code == 401


def test_payment_token_is_in_no_event_and_in_no_answer(shop: Shop) -> None:
    taken = shop.place_order(order_of({shop.make_product(5).id: 1}, "tok_error_once"))
    order = shop.wait_until_ended(taken)
    for path in (f"/api/orders/{order.id}", f"/api/orders/{order.id}/events", f"/api/payments/{order.payment.id}"):
        assert "tok_error_once" not in _with(shop, path, shop.staff_token).text
