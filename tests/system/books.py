"""The promise behind every order: its events, its stock and its money tell the same story."""

from collections.abc import Sequence

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.product import Product
from tests.system.shop import Shop


def confirmed_history(lines: int) -> list[str]:
    """The types of the events of a confirmed order of so many lines."""
    begin = ["OrderDrafted", *["ItemAdded"] * lines, "OrderPlaced"]
    return [*begin, "InventoryReserved", "PaymentRequested", "PaymentCaptured", "OrderConfirmed"]


def assert_books_agree(shop: Shop, product: Product, stocked: int, orders: Sequence[PlacedOrder]) -> None:
    """All orders for the product have ended, and of what was stocked only what they bought is gone.

    Nothing is left on hold, and the shop holds the price of every confirmed order and of no other.
    """
    sold = 0
    for order in orders:
        if order.status == "confirmed":
            _assert_paid(shop, order)
            sold += sum(line.quantity for line in order.items if line.product_id == product.id)
        else:
            _assert_given_back(shop, order)
    levels = shop.levels(product)
    assert sum(level.on_hand for level in levels) == stocked - sold
    assert [level.reserved for level in levels] == [0] * len(levels)
    assert shop.available(product) == stocked - sold


def _assert_paid(shop: Shop, order: PlacedOrder) -> None:
    assert order.status == "confirmed", order
    assert order.rejection is None
    assert order.payment.status == "captured"
    assert order.payment.id is not None
    payment = shop.payment(order.payment.id)
    nothing = order.total.times(0)
    told = (payment.order_id, payment.status, payment.amount, payment.captured, payment.refunded)
    assert told == (order.id, "captured", order.total, order.total, nothing)
    charges = [(charge.amount, charge.refunded, charge.status) for charge in shop.charges(order)]
    assert charges == [(order.total, nothing, "charged")]
    wanted = sum(line.quantity for line in order.items)
    assert sum(part.quantity for part in order.allocations or []) == wanted
    types = [event.type for event in shop.events(order.id)]
    assert types == confirmed_history(len(order.items))


def _assert_given_back(shop: Shop, order: PlacedOrder) -> None:
    assert order.status == "rejected", order
    assert order.rejection is not None
    assert order.allocations is None
    nothing = order.total.times(0)
    assert [charge.held for charge in shop.charges(order) if charge.held != nothing] == []
    if order.payment.id is not None:
        payment = shop.payment(order.payment.id)
        assert payment.captured == payment.refunded, payment
        assert payment.status in ("declined", "expired", "cancelled", "refunded")
    types = [event.type for event in shop.events(order.id)]
    assert types[-1] == "OrderRejected"
    assert types.count("OrderRejected") == types.count("RejectionDecided") == 1
    assert "OrderConfirmed" not in types
    if "PaymentCaptured" in types:
        assert "RefundIssued" in types
