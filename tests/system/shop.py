"""A customer and a member of staff of the running shop, as the tests play them.

No answer of the shop may be a 5xx, whatever is asked of it and by how many at once: the client raises on the
first, so that every test watches for it.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TypeVar

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter

from shared_kernel.contracts.inventory import Availability, StockLevel, Warehouse
from shared_kernel.contracts.order import PlacedOrder
from shared_kernel.contracts.payment import Payment, Refund
from shared_kernel.contracts.product import Category, Product
from shared_kernel.money import Money
from tests.system.clients import Clients

JAKARTA = (-6.2088, 106.8456)
BANDUNG = (-6.9175, 107.6191)
SURABAYA = (-7.2575, 112.7521)
MEDAN = (3.5952, 98.6722)

ENDED = ("confirmed", "rejected")
_REQUEST_SECONDS = 60
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5

Body = dict[str, JsonValue]
Input = TypeVar("Input")
Result = TypeVar("Result")


class ServerFault(AssertionError):
    """The shop answered with a 5xx."""


class EventRecord(BaseModel):
    """One event of an order's history."""

    sequence: int
    type: str
    version: int
    occurred_at: datetime
    actor: str
    data: dict[str, JsonValue]


class Charge(BaseModel):
    """A line in the sandbox provider's own book."""

    reference: str
    idempotency_key: str
    amount: Money
    refunded: Money
    status: str

    @property
    def held(self) -> Money:
        """What the shop holds of the customer's money."""
        return self.amount - self.refunded if self.status == "charged" else self.amount.times(0)


class Account(BaseModel):
    """An account of the payments' ledger; for each currency it has one."""

    account: str
    balance: Money


class Ledger(BaseModel):
    """All accounts, and whether the entries of every transfer add up to nothing."""

    balanced: bool
    items: list[Account]

    def balance(self, account: str, currency: str) -> int:
        """What this account holds, in minor units."""
        return sum(
            one.balance.amount for one in self.items if (one.account, one.balance.currency) == (account, currency)
        )


class Problem(BaseModel):
    """The part of an RFC 9457 document that every problem has; further members are kept."""

    model_config = {"extra": "allow"}

    type: str
    title: str
    status: int
    detail: str
    code: str


_EVENTS = TypeAdapter(dict[str, list[EventRecord]])


class _RefundPage(BaseModel):
    items: list[dict[str, JsonValue]]


_CHARGES = TypeAdapter(dict[str, list[Charge]])


class Shop:
    """The public API. What fails an expectation of the client raises AssertionError with the whole answer."""

    def __init__(self, url: str, staff_token: str) -> None:
        self.url = url
        self.staff_token = staff_token
        self._clients = Clients(url, _REQUEST_SECONDS, [_refuse_fault])

    def __enter__(self) -> "Shop":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.close()

    @property
    def as_staff(self) -> dict[str, str]:
        """The header that makes a request the staff's."""
        return {"authorization": f"Bearer {self.staff_token}"}

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse, in Jakarta, that holds what a test does not place elsewhere."""
        return self.make_warehouse(JAKARTA)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Whatever the shop answers to this, as long as it is not a 5xx (ServerFault)."""
        with self._clients.lent() as client:
            return client.request(method, path, json=body, headers=headers, content=content)

    def ask_anything(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> httpx.Response:
        """Whatever the shop answers to this, be it that somebody whom it depends on did not answer (503)."""
        response = httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=_REQUEST_SECONDS)
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            _refuse_fault(response)
        return response

    def make_category(self, name: str, parent_id: str | None = None) -> Category:
        """A new category."""
        body = {"name": name} if parent_id is None else {"name": name, "parent_id": parent_id}
        return Category.model_validate_json(self._expect(201, "POST", "/api/categories", body))

    def make_warehouse(self, place: tuple[float, float]) -> Warehouse:
        """A new, empty warehouse there."""
        body = {
            "code": f"T-{uuid.uuid4().hex[:12].upper()}",
            "name": "Gudang uji",
            "latitude": place[0],
            "longitude": place[1],
        }
        return Warehouse.model_validate_json(self._expect(201, "POST", "/api/warehouses", body))

    def make_product(
        self, on_hand: int = 0, *, price: int = 45_000_00, currency: str = "IDR", **fields: JsonValue
    ) -> Product:
        """A new product that no other test knows, with so many pieces in the warehouse in Jakarta."""
        body: Body = {
            "sku": f"T-{uuid.uuid4().hex[:16]}",
            "name": "Kopi uji 250 g",
            "retail_price": {"amount": price, "currency": currency},
            "wholesale_price": {"amount": price * 9 // 10, "currency": currency},
            **fields,
        }
        product = Product.model_validate_json(self._expect(201, "POST", "/api/products", body))
        if on_hand:
            self.set_stock(product, self.warehouse, on_hand)
        return product

    def set_stock(self, product: Product, warehouse: Warehouse, on_hand: int) -> StockLevel:
        """Count so many pieces into the warehouse."""
        path = f"/api/warehouses/{warehouse.id}/stock/{product.id}"
        return StockLevel.model_validate_json(self._expect(200, "PUT", path, {"on_hand": on_hand}))

    def available(self, product: Product) -> int:
        """How many pieces anyone is told that he can order."""
        response = self.ask("GET", f"/api/products/{product.id}/availability")
        assert response.status_code == 200, response.text
        return Availability.model_validate_json(response.text).available

    def levels(self, product: Product) -> list[StockLevel]:
        """The product's stock in each warehouse, as staff see it."""
        text = self._expect(200, "GET", f"/api/products/{product.id}/availability")
        return Availability.model_validate_json(text).warehouses or []

    def send_order(self, body: Body, key: str | None = None) -> httpx.Response:
        """The answer to an order request as a guest sends it, under the key or a fresh one."""
        return self.ask("POST", "/api/orders", body, headers={"idempotency-key": key or str(uuid.uuid4())})

    def place_order(self, body: Body, key: str | None = None) -> PlacedOrder:
        """An order that must be taken (202)."""
        response = self.send_order(body, key)
        assert response.status_code == 202, response.text
        return PlacedOrder.model_validate_json(response.text)

    def order(self, order_id: str) -> PlacedOrder:
        """The order as staff see it now."""
        return PlacedOrder.model_validate_json(self._expect(200, "GET", f"/api/orders/{order_id}"))

    def events(self, order_id: str) -> list[EventRecord]:
        """The order's whole history."""
        return _EVENTS.validate_json(self._expect(200, "GET", f"/api/orders/{order_id}/events"))["items"]

    def wait_until_ended(self, placed: PlacedOrder, timeout_seconds: float = 60) -> PlacedOrder:
        """The order once it is confirmed or rejected; AssertionError when that takes longer."""
        return self.wait_until(placed, lambda order: order.status in ENDED, timeout_seconds)

    def wait_until(
        self, placed: PlacedOrder, is_so: Callable[[PlacedOrder], bool], timeout_seconds: float = 60
    ) -> PlacedOrder:
        """The order once this is so; AssertionError when that takes longer."""
        give_up = time.monotonic() + timeout_seconds
        pause = _FIRST_POLL_SECONDS
        while True:
            order = self.order(placed.id)
            if is_so(order):
                return order
            seen = [event.type for event in self.events(placed.id)]
            assert time.monotonic() < give_up, f"{order.id} is {order.status} after {timeout_seconds} s: {seen}"
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)

    def payment(self, payment_id: str) -> Payment:
        """The payment as staff see it."""
        return Payment.model_validate_json(self._expect(200, "GET", f"/api/payments/{payment_id}"))

    def refund(self, payment_id: str, amount: Money, key: str) -> Refund:
        """A refund that staff ask for under this key, which must be taken (201)."""
        response = self.send_refund(payment_id, amount, key)
        assert response.status_code == 201, response.text
        return Refund.model_validate_json(response.text)

    def send_refund(self, payment_id: str, amount: Money, key: str) -> httpx.Response:
        """The answer to a refund that staff ask for under this key."""
        body = {"amount": amount.model_dump(), "reason": "dented tin"}
        headers = {**self.as_staff, "idempotency-key": key}
        return self.ask("POST", f"/api/payments/{payment_id}/refunds", body, headers=headers)

    def refunds(self, status: str) -> list[dict[str, JsonValue]]:
        """The first hundred refunds that stand so, as staff see them."""
        return _RefundPage.model_validate_json(
            self._expect(200, "GET", f"/api/refunds?status={status}&limit=100")
        ).items

    def settle(self, refund_id: str, reference: str, key: str | None = None) -> Refund:
        """A due refund that staff record as paid by hand, which must be taken (200)."""
        response = self.send_settlement(refund_id, reference, key or str(uuid.uuid4()))
        assert response.status_code == 200, response.text
        return Refund.model_validate_json(response.text)

    def send_settlement(self, refund_id: str, reference: str, key: str) -> httpx.Response:
        """The answer to staff's record, under this key, that a refund was paid by hand."""
        headers = {**self.as_staff, "idempotency-key": key}
        return self.ask("POST", f"/api/refunds/{refund_id}/settle", {"reference": reference}, headers=headers)

    def ledger(self) -> Ledger:
        """The payments' ledger, as staff see it."""
        return Ledger.model_validate_json(self._expect(200, "GET", "/api/ledger"))

    def newest_webhooks(self, status: str = "") -> list[str]:
        """The ids of the webhooks that were kept last, of any status or of this one."""
        query = f"&status={status}" if status else ""
        page = json.loads(self._expect(200, "GET", f"/api/webhooks?limit=20{query}"))
        return [webhook["id"] for webhook in page["items"]]

    def charges(self, order: PlacedOrder) -> list[Charge]:
        """What the sandbox provider has in its book under the order's idempotency key."""
        charges = _CHARGES.validate_json(self._expect(200, "GET", "/api/sandbox/charges"))["items"]
        return [charge for charge in charges if charge.idempotency_key == f"order-{order.id}"]

    def _expect(self, status: int, method: str, path: str, body: object = None) -> str:
        response = self.ask(method, path, body, headers=self.as_staff)
        assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        return response.text


def order_of(lines: Mapping[str, int], token: str = "tok_ok", to: tuple[float, float] = JAKARTA) -> Body:
    """The body of an order for so many pieces of each product id, to be sent there and paid by this card."""
    return {
        "items": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines.items()],
        "email": "budi@example.com",
        "shipping_address": {
            "name": "Budi Santoso",
            "line1": "Jalan Melati 5",
            "city": "Jakarta",
            "postal_code": "10110",
            "country": "ID",
            "latitude": to[0],
            "longitude": to[1],
        },
        "payment": {"provider": "sandbox", "method": "card", "token": token},
    }


def problem(response: httpx.Response, status: int, code: str) -> Problem:
    """The answer as the problem that it must be."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["content-type"] == "application/problem+json", response.headers
    told = Problem.model_validate(json.loads(response.text))
    told_as = (told.status, told.code, told.type)
    assert told_as == (status, code, f"/problems/{code}"), response.text
    return told


def at_once(work: Sequence[Input], do: Callable[[Input], Result]) -> list[Result]:
    """Do all of it at the same time, one thread each; the results in the order of the work."""
    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(do, work))


def _refuse_fault(response: httpx.Response) -> None:
    if response.status_code >= 500:
        response.read()
        raise ServerFault(f"{response.request.method} {response.url}: {response.status_code} {response.text}")
