"""A shop behind the gateway, small enough to see through: every contract that the gateway calls, by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway.services import Contract
from shared_kernel.contracts import company, inventory, order, payment, product, user
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed, Unauthenticated
from shared_kernel.money import Money
from shared_kernel.rpc import Call, Json, Principal
from tests.unit.gateway import companies, people
from tests.unit.gateway.service import Service
from tests.unit.gateway.signing import COMPANY_ID, USER_IDS, jwks

PRODUCT_ID = "prd_01JDTEA0000000000000000000"
OTHER_PRODUCT_ID = "prd_01JDC0FFEE0000000000000000"
CATEGORY_ID = "cat_01JDTEA0000000000000000000"
WAREHOUSE_ID = "whs_01JDJAKARTA000000000000000"
ORDER_ID = "ord_01JD0RDER00000000000000000"
WEBHOOK_ID = "whk_01JDH00K000000000000000000"
REFUND_ID = "rfd_01JDH00K000000000000000000"
PAYMENT_ID = "pay_01JDPAY0000000000000000000"
ORDER_TOKEN = "order-access-token-of-this-order"
NOW = "2026-11-21T08:30:00.000Z"
PRICE = Money(amount=12_500_000, currency="IDR")
WELL = Health(status="ok", database="ok", database_ms=3)

_IDS = {
    "products": PRODUCT_ID,
    "categories": CATEGORY_ID,
    "warehouses": WAREHOUSE_ID,
    "orders": ORDER_ID,
    "payments": PAYMENT_ID,
    "sandbox": PAYMENT_ID,
    "refunds": REFUND_ID,
    "webhooks": WEBHOOK_ID,
    "users": USER_IDS["customer"],
    "companies": COMPANY_ID,
}


def path_of(template: str) -> str:
    """A route's path with ids that exist."""
    own_id = _IDS.get(template.split("/")[2], "") if template.startswith("/api/") else ""
    names = {"id": own_id, "product_id": PRODUCT_ID, "user_id": USER_IDS["buyer"], "provider": "xendit", "secret": "s"}
    return template.format(**names)


def a_product(version: int = 3, **changes: Any) -> product.Product:
    """Tea, as anyone sees it."""
    tea = product.Product(
        id=PRODUCT_ID,
        sku="TEA-1",
        name="Tea",
        description="",
        availability=product.MarketAvailability(),
        price=PRICE,
        version=version,
        created_at=NOW,
        updated_at=NOW,
    )
    return tea.model_copy(update=changes)


def an_order(request: order.OrderRequest, access_token: str | None = None) -> order.PlacedOrder:
    """The order that this request makes, unpriced but for one line."""
    line = product.PricedLine(
        product_id=PRODUCT_ID,
        sku="TEA-1",
        name="Tea",
        quantity=1,
        unit_price=PRICE,
        price_source="retail",
        total=PRICE,
    )
    return order.PlacedOrder(
        id=ORDER_ID,
        status="pending",
        market="retail",
        items=[line],
        total=PRICE,
        email=request.email,
        shipping_address=request.shipping_address,
        payment=order.OrderPayment(
            provider=request.payment.provider, method=request.payment.method, status="not_requested"
        ),
        version=2,
        placed_at=NOW,
        access_token=access_token,
    )


def a_payment() -> payment.Payment:
    """The captured payment of the order."""
    return payment.Payment(
        id=PAYMENT_ID,
        order_id=ORDER_ID,
        provider="sandbox",
        method="card",
        status="captured",
        amount=PRICE,
        captured=PRICE,
        refunded=Money(amount=0, currency="IDR"),
        version=2,
        created_at=NOW,
        updated_at=NOW,
    )


@dataclass
class Shop:
    """What the services hold and what they were asked; `failures` are raised by the methods that they name."""

    failures: dict[str, Exception] = field(default_factory=dict)
    asked: list[tuple[str, Principal]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    placed: dict[str, order.OrderRequest] = field(default_factory=dict)
    stock: list[inventory.SetStock] = field(default_factory=list)
    delivered: list[payment.DeliverWebhook] = field(default_factory=list)
    attempts: list[user.SignInFrom] = field(default_factory=list)
    ended_sessions: set[str] = field(default_factory=set)
    published_keys: str = field(default_factory=jwks)
    changed_members: list[company.ChangeMember] = field(default_factory=list)
    reviews: list[company.ReviewCompany] = field(default_factory=list)
    health: Health = WELL

    def connect(self, contract: type[Contract], call: Call, observe: Callable[[int], None]) -> Contract:
        """What the gateway is given to reach the services: each call takes 7 ms."""
        self.calls.append(call)
        return cast(Contract, _SERVICES[contract](self, call.principal, observe))

    def noted(self, method: str, principal: Principal) -> None:
        """Note the call, or fail as told."""
        self.asked.append((method, principal))
        if method in self.failures:
            raise self.failures[method]


class Catalogue(Service):
    """One product: tea."""

    async def get_product(self, request: product.GetProduct) -> product.Product:
        self._note("get_product")
        if request.id != PRODUCT_ID:
            raise NotFound("there is no such product", code="product_not_found")
        return a_product(wholesale_price=PRICE) if self._principal.may("catalogue:manage") else a_product()

    async def list_products(self, request: product.ListProducts) -> Json:
        self._note("list_products")
        if request.cursor is not None:
            raise Invalid("the cursor is of another list", code="invalid_cursor")
        return Json(f'{{"items": [{a_product().model_dump_json(exclude_none=True)}], "next_cursor": null}}')

    async def list_categories(self, request: Nothing) -> Json:
        self._note("list_categories")
        return Json('{"items": []}')


class ProductAdmin(Service):
    """Staff's side of the catalogue."""

    async def create_product(self, request: product.NewProduct) -> product.Product:
        self._note("create_product")
        if request.sku == "TAKEN":
            raise Conflict("another product has this SKU", code="sku_taken")
        return a_product(version=1, sku=request.sku, name=request.name)

    async def change_product(self, request: product.ChangeProduct) -> product.Product:
        self._note("change_product")
        if request.expected_version != 3:
            raise PreconditionFailed("the product has changed since")
        return a_product(version=4, name=request.changes.name or "Tea")

    async def delete_product(self, request: product.DeleteProduct) -> Nothing:
        self._note("delete_product")
        return Nothing()

    async def create_category(self, request: product.NewCategory) -> product.Category:
        self._note("create_category")
        return product.Category(id=CATEGORY_ID, name=request.name, parent_id=request.parent_id, version=1)

    async def change_category(self, request: product.ChangeCategory) -> product.Category:
        self._note(f"change_category {request.id}")
        if request.expected_version != 3:
            raise PreconditionFailed("the category has changed since")
        return product.Category(id=request.id, name=request.changes.name, version=4)

    async def delete_category(self, request: product.DeleteCategory) -> Nothing:
        self._note(f"delete_category {request.id}")
        return Nothing()


class Stock(Service):
    """Five pieces of everything."""

    async def get_availability(self, request: inventory.GetAvailability) -> inventory.Availability:
        self._note("get_availability")
        return inventory.Availability(product_id=request.product_id, available=5)


class InventoryAdmin(Service):
    """One warehouse, whose counts are noted."""

    async def create_warehouse(self, request: inventory.NewWarehouse) -> inventory.Warehouse:
        self._note("create_warehouse")
        return inventory.Warehouse(id=WAREHOUSE_ID, **request.model_dump())

    async def list_warehouses(self, request: Nothing) -> Json:
        self._note("list_warehouses")
        return Json('{"items": []}')

    async def set_stock(self, request: inventory.SetStock) -> inventory.StockLevel:
        self._note("set_stock")
        if request.expected_on_hand not in (None, 5):
            raise Conflict("another count came between", code="stock_changed")
        self._shop.stock.append(request)
        return inventory.StockLevel(
            warehouse_id=request.warehouse_id,
            warehouse_code="JKT",
            product_id=request.product_id,
            on_hand=request.on_hand,
            reserved=0,
            available=request.on_hand,
            low_stock_threshold=request.low_stock_threshold,
        )

    async def list_stock(self, request: inventory.ListStock) -> Json:
        self._note(f"list_stock low={request.low}")
        return Json('{"items": []}')


class Payments(Service):
    """One payment."""

    async def get_payment(self, request: payment.GetPayment) -> payment.Payment:
        self._note("get_payment")
        if request.id != PAYMENT_ID:
            raise NotFound("no payment has this id")
        return a_payment()

    async def settle_sandbox_payment(self, request: payment.SettleSandboxPayment) -> payment.Payment:
        self._note(f"settle_sandbox_payment {request.outcome}")
        return a_payment()


class PaymentAdmin(Service):
    """Refunds are always possible."""

    async def refund(self, request: payment.RefundPayment) -> payment.Refund:
        asked_for = f"refund {request.idempotency_key}"
        is_replayed = (asked_for, self._principal) in self._shop.asked
        self._note(asked_for)
        return payment.Refund(
            id="rfd_1",
            amount=request.amount,
            reason=request.reason,
            status="succeeded",
            payment=a_payment(),
            replayed=is_replayed,
        )

    async def list_refunds(self, request: payment.ListRefunds) -> Json:
        self._note(f"list_refunds status={request.status} limit={request.limit}")
        return Json('{"items": [], "next_cursor": null}')

    async def settle_refund(self, request: payment.SettleRefund) -> payment.Refund:
        asked_for = f"settle {request.refund_id} {request.idempotency_key} {request.reference} {request.note}"
        is_replayed = (asked_for, self._principal) in self._shop.asked
        self._note(asked_for)
        return payment.Refund(
            id=request.refund_id,
            amount=Money(amount=100, currency="IDR"),
            reason="broken",
            status="succeeded",
            paid_by_hand=request.reference,
            payment=a_payment(),
            replayed=is_replayed,
        )

    async def list_sandbox_charges(self, request: Nothing) -> Json:
        self._note("list_sandbox_charges")
        return Json('{"items": []}')

    async def get_ledger(self, request: Nothing) -> Json:
        self._note("get_ledger")
        return Json('{"balanced": true, "items": []}')

    async def list_webhooks(self, request: payment.ListWebhooks) -> Json:
        self._note(f"list_webhooks status={request.status}")
        return Json('{"items": [], "next_cursor": null}')

    async def run_webhook(self, request: payment.RunWebhook) -> payment.WebhookReceipt:
        self._note(f"run_webhook {request.id}")
        return payment.WebhookReceipt(id=request.id, status="done")


class Webhooks(Service):
    """What is signed well is taken."""

    async def receive(self, request: payment.DeliverWebhook) -> payment.WebhookReceipt:
        self._note("receive")
        self._shop.delivered.append(request)
        if request.headers.get("x-signature") != "good":
            raise Unauthenticated("the signature is missing or wrong", code="webhook_not_verified")
        return payment.WebhookReceipt(id=WEBHOOK_ID, status="done")


class Orders(Service):
    """Orders by their key; the one order is opened by its token, by the customer, whose it is as well, and by staff."""

    async def place_order(self, request: order.PlaceOrder) -> order.Placed:
        self._note("place_order")
        before = self._shop.placed.setdefault(request.idempotency_key, request.request)
        if before != request.request:
            raise Invalid("this key was used for another request", code="idempotency_key_reused")
        is_replayed = ("place_order", self._principal) in self._shop.asked[:-1]
        return order.Placed(order=an_order(request.request, ORDER_TOKEN), replayed=is_replayed)

    async def get_order(self, request: order.GetOrder) -> order.Order:
        self._note(f"get_order version={request.version} at={request.at}")
        self._open(request.id)
        return an_order(order.OrderRequest.model_validate(ORDER_REQUEST))

    async def get_events(self, request: order.GetEvents) -> Json:
        self._note("get_events")
        self._open(request.id)
        return Json('{"items": []}')

    async def list_own_orders(self, request: order.ListOrders) -> Json:
        self._note("list_own_orders")
        return Json('{"items": [], "next_cursor": null}')

    async def approve_order(self, request: order.ApproveOrder) -> order.Order:
        self._note(f"approve_order {request.id}")
        return self._decided(request.id, "pending")

    async def refuse_order(self, request: order.RefuseOrder) -> order.Order:
        self._note(f"refuse_order {request.id} {request.reason}")
        return self._decided(request.id, "rejected")

    def _decided(self, order_id: str, status: order.OrderStatus) -> order.Order:
        if self._principal.kind != "buyer":
            raise NotFound("there is no such order", code="order_not_found")
        return an_order(order.OrderRequest.model_validate(ORDER_REQUEST)).model_copy(update={"status": status})

    def _open(self, order_id: str) -> None:
        is_owner = self._principal.credential == ORDER_TOKEN or self._principal.id == USER_IDS["customer"]
        if order_id != ORDER_ID or not (is_owner or self._principal.may("orders:manage")):
            raise NotFound("there is no such order", code="order_not_found")


class OrderAdmin(Service):
    """No orders."""

    async def list_orders(self, request: order.ListOrders) -> Json:
        self._note("list_orders")
        return Json('{"items": [], "next_cursor": null}')


_SERVICES: Mapping[type[object], type[Service]] = {
    product.Catalogue: Catalogue,
    product.Admin: ProductAdmin,
    inventory.Stock: Stock,
    inventory.Admin: InventoryAdmin,
    payment.Payments: Payments,
    payment.Admin: PaymentAdmin,
    payment.Webhooks: Webhooks,
    order.Orders: Orders,
    order.Admin: OrderAdmin,
    user.Accounts: people.Accounts,
    user.Admin: people.Admin,
    user.Identities: people.Identities,
    company.Companies: companies.Companies,
}

ORDER_REQUEST: dict[str, Any] = {
    "items": [{"product_id": PRODUCT_ID, "quantity": 1}],
    "email": "sari@example.com",
    "shipping_address": {
        "name": "Sari",
        "line1": "Jalan Melati 1",
        "city": "Jakarta",
        "postal_code": "10110",
        "country": "ID",
        "latitude": -6.2,
        "longitude": 106.8,
    },
    "payment": {"provider": "sandbox", "method": "card", "token": "tok_ok"},
}

NEW_PRODUCT: dict[str, Any] = {
    "sku": "TEA-2",
    "name": "Green tea",
    "retail_price": {"amount": 100, "currency": "IDR"},
    "wholesale_price": {"amount": 80, "currency": "IDR"},
}
