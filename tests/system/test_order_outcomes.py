"""How an order ends for each kind of card and stock: its events, its stock and its money agree."""

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.product import Product
from tests.system.books import assert_books_agree, confirmed_history
from tests.system.shop import Body, Shop, order_of

STOCKED = 10
QUANTITY = 3


def _ended(shop: Shop, product: Product, token: str, quantity: int = QUANTITY) -> PlacedOrder:
    return shop.wait_until_ended(shop.place_order(order_of({product.id: quantity}, token)))


def _rejection(order: PlacedOrder) -> str | None:
    return None if order.rejection is None else order.rejection.code


def _types(shop: Shop, order: PlacedOrder) -> list[str]:
    return [event.type for event in shop.events(order.id)]


def test_answer_comes_before_the_saga_has_ended(shop: Shop) -> None:
    product = shop.make_product(STOCKED, price=45_000_00)
    response = shop.send_order(order_of({product.id: QUANTITY}))
    placed = PlacedOrder.model_validate_json(response.text)
    assert (response.status_code, response.headers["location"]) == (202, f"/api/orders/{placed.id}")
    assert (placed.status, placed.payment.status, placed.allocations) == ("pending", "not_requested", None)
    assert placed.total.model_dump() == {"amount": 135_000_00, "currency": "IDR"}
    (line,) = placed.items
    assert (line.product_id, line.sku, line.name, line.quantity) == (product.id, product.sku, product.name, QUANTITY)
    assert (line.unit_price, line.price_source, line.total) == (product.price, "retail", placed.total)
    shop.wait_until_ended(placed)


def test_order_is_confirmed_and_stock_payment_and_events_agree(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = _ended(shop, product, "tok_ok")
    assert order.status == "confirmed"
    assert_books_agree(shop, product, STOCKED, [order])
    assert shop.available(product) == STOCKED - QUANTITY


def test_declined_card_rejects_the_order_and_the_stock_is_as_before(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = _ended(shop, product, "tok_declined")
    assert (order.status, _rejection(order), order.payment.status) == ("rejected", "payment_declined", "declined")
    assert_books_agree(shop, product, STOCKED, [order])
    assert _types(shop, order) == [
        *confirmed_history(1)[:-2],
        "PaymentDeclined",
        "RejectionDecided",
        "InventoryReleased",
        "OrderRejected",
    ]
    assert order.payment.id is not None
    failure = shop.payment(order.payment.id).failure
    assert failure is not None
    assert failure.code == "card_declined"
    assert shop.available(product) == STOCKED


def test_more_than_there_is_is_rejected_with_what_was_missing(shop: Shop) -> None:
    scarce = shop.make_product(4)
    plenty = shop.make_product(STOCKED)
    none = shop.make_product()
    wanted = {scarce.id: 5, plenty.id: STOCKED, none.id: 1}
    order = shop.wait_until_ended(shop.place_order(order_of(wanted)))
    assert (order.status, _rejection(order)) == ("rejected", "insufficient_inventory")
    assert order.rejection is not None
    missing = {
        str(short["product_id"]): (short["requested"], short["available"]) for short in order.rejection.missing or []
    }
    assert missing == {scarce.id: (5, 4), none.id: (1, 0)}
    assert (order.payment.status, shop.charges(order)) == ("not_requested", [])
    assert_books_agree(shop, plenty, STOCKED, [order])
    assert_books_agree(shop, scarce, 4, [order])


def test_same_product_in_two_lines_is_summed_before_stock_is_checked(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    body = order_of({product.id: 6})
    line: Body = {"product_id": product.id, "quantity": 6}
    order = shop.wait_until_ended(shop.place_order({**body, "items": [line, line]}))
    assert (order.status, _rejection(order)) == ("rejected", "insufficient_inventory")
    assert order.rejection is not None
    assert order.rejection.missing == [{"product_id": product.id, "requested": 12, "available": STOCKED}]
    assert_books_agree(shop, product, STOCKED, [order])


def test_payment_that_fails_once_is_tried_again_and_charged_once(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = _ended(shop, product, "tok_error_once")
    assert order.status == "confirmed"
    assert_books_agree(shop, product, STOCKED, [order])


def test_lost_answer_never_leaves_a_charge_without_an_order(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = _ended(shop, product, "tok_lost")
    assert_books_agree(shop, product, STOCKED, [order])
    # The sandbox has charged in either case: what was charged is held for a confirmed order, or given back.
    (charge,) = shop.charges(order)
    assert (charge.status, charge.amount) == ("charged", order.total)
    assert charge.held == (order.total if order.status == "confirmed" else order.total.times(0))


def test_payment_that_fails_for_ever_rejects_the_order_and_charges_nothing(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = shop.wait_until_ended(shop.place_order(order_of({product.id: QUANTITY}, "tok_error")), timeout_seconds=150)
    assert (order.status, _rejection(order)) == ("rejected", "payment_unavailable")
    assert order.payment.status == "cancelled"
    assert_books_agree(shop, product, STOCKED, [order])
    assert {charge.status for charge in shop.charges(order)} <= {"failed", "voided"}
    assert shop.available(product) == STOCKED


def test_order_of_several_products_takes_all_of_them_from_stock(shop: Shop) -> None:
    first, second = shop.make_product(STOCKED, price=10_000_00), shop.make_product(STOCKED, price=7_500_00)
    order = shop.wait_until_ended(shop.place_order(order_of({first.id: 2, second.id: 4})))
    assert order.status == "confirmed"
    assert order.total.amount == 2 * 10_000_00 + 4 * 7_500_00
    assert (shop.available(first), shop.available(second)) == (STOCKED - 2, STOCKED - 4)
    assert [charge.held for charge in shop.charges(order)] == [order.total]


def test_staff_refund_returns_money_and_leaves_the_order_confirmed(shop: Shop) -> None:
    product = shop.make_product(STOCKED)
    order = _ended(shop, product, "tok_ok")
    path = f"/api/payments/{order.payment.id}/refunds"
    headers = {**shop.as_staff, "idempotency-key": f"refund-{order.id}"}
    part = order.total.model_dump() | {"amount": order.total.amount // 3}
    bodies = [shop.ask("POST", path, {"amount": part, "reason": "dented tin"}, headers=headers) for _ in range(2)]
    assert [response.status_code for response in bodies] == [201, 201]
    assert bodies[0].json()["id"] == bodies[1].json()["id"]
    (charge,) = shop.charges(order)
    assert charge.refunded.model_dump() == part
    assert shop.payment(order.payment.id or "").status == "partially_refunded"
    assert shop.order(order.id).status == "confirmed"
