"""The ways to pay that the system tests try, and what each of them can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.payment import Payment
from shared_kernel.contracts.product import Product
from tests.system.providers import Providers, Row, payment_id_of
from tests.system.shop import ENDED, EventRecord, Shop, order_of

STOCKED = 5
QUANTITY = 2
PRICE_MINOR = 45_000_00


@dataclass(frozen=True)
class Way:
    """A provider's method with the details that its customer gives.

    `instructs` is what the customer is told to do, None where a card is charged at once. `refunds` is what can be
    given back through the provider.
    """

    provider: str
    method: str
    currency: str
    instructs: Literal["qr_code", "virtual_account", "redirect", "stk_push"] | None
    refunds: Literal["parts", "whole", "nothing"] = "parts"
    token: str | None = None
    phone: str | None = None
    bank: str | None = None
    expires_by_itself: bool = True
    """Whether the provider tells that a charge has expired; at PayPal it is then as if it had never been."""
    declines_when_paid: bool = False
    """Whether a decline is known only after the customer has agreed."""
    instructs_again: Literal["qr_code"] | None = None
    """What the customer is told in place of that where the provider's first answer was lost."""
    answer_is_lost: bool = False
    """Whether a charge whose answer was lost is only known again by its webhook."""

    @property
    def choice(self) -> dict[str, JsonValue]:
        """How an order says so."""
        details = {"token": self.token, "phone": self.phone, "bank": self.bank}
        given: dict[str, JsonValue] = {name: value for name, value in details.items() if value is not None}
        return {"provider": self.provider, "method": self.method, **given}

    def __str__(self) -> str:
        return f"{self.provider}-{self.method}-{self.instructs or 'at-once'}"


WAYS = (
    Way("xendit", "qris", "IDR", "qr_code"),
    Way("xendit", "virtual_account", "IDR", "virtual_account", refunds="nothing", bank="bri"),
    Way("xendit", "ewallet", "IDR", "redirect"),
    Way("xendit", "card", "IDR", None, token="pt-visa"),
    Way("midtrans", "qris", "IDR", "qr_code"),
    Way("midtrans", "virtual_account", "IDR", "virtual_account", refunds="nothing", bank="bca"),
    Way("midtrans", "ewallet", "IDR", "redirect", instructs_again="qr_code"),
    Way("stripe", "card", "USD", None, token="pm_card_visa"),
    Way("stripe", "card", "USD", "redirect", token="pm_card_authenticationRequired"),
    Way("paypal", "paypal", "USD", "redirect", expires_by_itself=False, declines_when_paid=True),
    Way("mpesa", "stk_push", "KES", "stk_push", refunds="whole", phone="+254712345678", answer_is_lost=True),
)
WAITING = tuple(way for way in WAYS if way.instructs is not None)


@dataclass(frozen=True)
class Placed:
    """An order that was placed for two of five pieces of a product of its own."""

    way: Way
    product: Product
    order: PlacedOrder

    @property
    def payment_id(self) -> str:
        """The payment that it asks for."""
        return payment_id_of(self.order.id)


def place(shop: Shop, way: Way, stocked: int = STOCKED) -> Placed:
    """An order that is to be paid this way."""
    product = shop.make_product(stocked, price=PRICE_MINOR, currency=way.currency)
    return Placed(way, product, shop.place_order(order_by(way, product)))


def order_by(way: Way, product: Product, quantity: int = QUANTITY) -> dict[str, JsonValue]:
    """The body of an order for so many pieces, to be paid this way."""
    return {**order_of({product.id: quantity}), "payment": way.choice}


def wait_for_customer(shop: Shop, placed: Placed) -> PlacedOrder:
    """The order when its customer can see how to pay."""
    order = shop.wait_until(placed.order, lambda order: order.payment.instructions is not None or order.status in ENDED)
    told = order.payment.instructions
    assert order.status == "awaiting_payment", order
    assert order.payment.id == placed.payment_id
    assert order.payment.expires_at is not None
    assert told is not None
    assert told.type in (placed.way.instructs, placed.way.instructs_again)
    shown = {
        "qr_code": bool(told.qr_string or told.redirect_url),
        "virtual_account": bool(told.account_number) and told.bank == placed.way.bank,
        "redirect": bool(told.redirect_url),
        "stk_push": True,
    }
    assert shown[told.type], told
    return order


def paid(shop: Shop, providers: Providers, way: Way) -> Placed:
    """An order that was paid this way and confirmed."""
    placed = place(shop, way)
    if way.instructs is not None:
        wait_for_customer(shop, placed)
        assert providers.tell(way.provider, "pay", placed.payment_id) == [200]
    return Placed(way, placed.product, shop.wait_until_ended(placed.order))


def assert_confirmed(shop: Shop, providers: Providers, placed: Placed) -> None:
    """The order is confirmed, its goods are gone, and its money was taken once and kept."""
    order = shop.wait_until_ended(placed.order)
    assert order.status == "confirmed", (order, types(shop, order))
    payment = assert_money_agrees(shop, providers, placed)
    assert (payment.captured, payment.refunded) == (order.total, order.total.times(0))
    assert (payment.status, order.payment.status) == ("captured", "captured")
    assert types(shop, order).count("PaymentCaptured") == 1
    assert_stock(shop, placed, STOCKED - QUANTITY)


def assert_rejected(shop: Shop, providers: Providers, placed: Placed, code: str, payment_status: str) -> None:
    """The order is rejected for this reason, its goods are back, and nothing was taken."""
    order = shop.wait_until_ended(placed.order)
    assert order.status == "rejected", (order, types(shop, order))
    assert order.rejection is not None
    assert (order.rejection.code, order.payment.status) == (code, payment_status), types(shop, order)
    payment = assert_money_agrees(shop, providers, placed)
    assert (payment.captured.amount, payment.status) == (0, payment_status)
    assert_stock(shop, placed, STOCKED)


def assert_stock(shop: Shop, placed: Placed, on_hand: int) -> None:
    """So many pieces are on the shelf, and none is on hold."""
    levels = [(level.on_hand, level.reserved) for level in shop.levels(placed.product)]
    assert levels == [(on_hand, 0)]


def assert_money_agrees(shop: Shop, providers: Providers, placed: Placed) -> Payment:
    """The provider, the payment and the order's events name the same sums, and nobody was charged twice."""
    payment = shop.payment(placed.payment_id)
    rows = providers.rows(placed.way.provider, placed.payment_id)
    assert_agree(payment, rows, shop.events(placed.order.id))
    return payment


def assert_agree(payment: Payment, rows: Sequence[Row], events: Sequence[EventRecord]) -> None:
    """What the provider, the payment and the order's events name are the same sums, and nobody was charged twice."""
    assert sum(row.times_charged for row in rows) <= 1, rows
    assert {row.currency for row in rows} <= {payment.amount.currency}
    told = (payment.captured.amount, payment.refunded.amount)
    assert told == (sum(row.charged_minor for row in rows), sum(row.refunded_minor for row in rows)), (payment, rows)
    captured = _sum_of(events, "PaymentCaptured", "LatePaymentCaptured")
    assert told == (captured, refunded_of(events)), (payment, events)


def refunded_of(events: Sequence[EventRecord]) -> int:
    """What has gone back by the order's events, in minor units."""
    return _sum_of(events, "RefundIssued") - _sum_of(events, "RefundFailed")


def types(shop: Shop, order: PlacedOrder) -> list[str]:
    """The types of the order's events."""
    return [event.type for event in shop.events(order.id)]


def _sum_of(events: Sequence[EventRecord], *kinds: str) -> int:
    amounts = [event.data["amount"] for event in events if event.type in kinds]
    return sum(amount["amount"] for amount in amounts if isinstance(amount, dict) and isinstance(amount["amount"], int))
