"""What the lists answer, which pass from a service to the client unread, and what the gateway itself answers."""

from typing import Literal

from pydantic import BaseModel, JsonValue

from shared_kernel.contracts.company import CompanyStatus
from shared_kernel.contracts.inventory import StockLevel, Warehouse
from shared_kernel.contracts.order import OrderStatus
from shared_kernel.contracts.payment import RefundKind, RefundStatus, WebhookStatus
from shared_kernel.contracts.product import Category, Market, Product
from shared_kernel.contracts.user import User
from shared_kernel.money import Money
from shared_kernel.rpc import CircuitState


class ProductPage(BaseModel):
    """A page of products; `next_cursor` is null on the last one."""

    items: list[Product]
    next_cursor: str | None


class CategoryList(BaseModel):
    """All categories, parents before children."""

    items: list[Category]


class WarehouseList(BaseModel):
    """All warehouses, by code."""

    items: list[Warehouse]


class StockList(BaseModel):
    """Stock levels."""

    items: list[StockLevel]


class OrderEvent(BaseModel):
    """One thing that happened to an order; `data` depends on `type` and `version`."""

    sequence: int
    type: str
    version: int
    occurred_at: str
    actor: str
    data: dict[str, object]


class OrderEventList(BaseModel):
    """An order's history, oldest first."""

    items: list[OrderEvent]


class OrderSummary(BaseModel):
    """An order in a list, as it was when the list last heard of it."""

    id: str
    status: OrderStatus
    market: Market
    email: str
    total: Money
    version: int
    placed_at: str


class OrderPage(BaseModel):
    """A page of orders, newest first; `next_cursor` is null on the last one."""

    items: list[OrderSummary]
    next_cursor: str | None


class UserPage(BaseModel):
    """A page of accounts, newest first; `next_cursor` is null on the last one."""

    items: list[User]
    next_cursor: str | None


class AuditEntry(BaseModel):
    """A change of somebody's rights, or the end of a session; `details` depends on `action`."""

    id: str
    action: str
    actor_id: str
    subject_id: str
    details: dict[str, JsonValue]
    occurred_at: str


class AuditPage(BaseModel):
    """A page of the audit, newest first; `next_cursor` is null on the last one."""

    items: list[AuditEntry]
    next_cursor: str | None


class CompanySummary(BaseModel):
    """A company in a list."""

    id: str
    name: str
    tax_id: str
    status: CompanyStatus
    created_at: str


class CompanyPage(BaseModel):
    """A page of companies, newest first; `next_cursor` is null on the last one."""

    items: list[CompanySummary]
    next_cursor: str | None


class PublishedKey(BaseModel):
    """A public signing key as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class KeySet(BaseModel):
    """A JWKS (RFC 7517)."""

    keys: list[PublishedKey]


class SandboxCharge(BaseModel):
    """A charge in the sandbox provider's own book."""

    reference: str
    idempotency_key: str
    amount: Money
    refunded: Money
    status: str


class SandboxChargeList(BaseModel):
    """All charges of the sandbox provider."""

    items: list[SandboxCharge]


class RefundSummary(BaseModel):
    """A refund in a list; `detail` says why one that is due cannot be made by the provider, `paid_by_hand` where the
    payment is found by which staff have made it, and `kind` whether it is what a lost dispute has cost."""

    id: str
    payment_id: str
    order_id: str
    provider: str
    method: str
    amount: Money
    reason: str
    kind: RefundKind
    status: RefundStatus
    detail: str | None = None
    paid_by_hand: str | None = None
    created_at: str


class RefundPage(BaseModel):
    """A page of refunds; `next_cursor` is null on the last one."""

    items: list[RefundSummary]
    next_cursor: str | None


class LedgerAccount(BaseModel):
    """What an account holds in one currency: with a provider, or lost by chargebacks, above zero; received for orders,
    due, or paid by hand, below."""

    account: str
    balance: Money


class Ledger(BaseModel):
    """The double-entry ledger of payments; `balanced` says that the entries of every transfer add up to nothing."""

    balanced: bool
    items: list[LedgerAccount]


class WebhookSummary(BaseModel):
    """A webhook that was verified and kept; `failure` is the code of the latest attempt."""

    id: str
    provider: str
    event_id: str
    status: WebhookStatus
    attempts: int
    failure: str | None = None
    received_at: str


class WebhookPage(BaseModel):
    """A page of webhooks, newest first; `next_cursor` is null on the last one."""

    items: list[WebhookSummary]
    next_cursor: str | None


class ServiceHealth(BaseModel):
    """How one service is; the parts that it does not have, or could not tell of, are absent.

    `circuits` are the gateway's own towards its entrypoints, as this isolate knows them.
    """

    status: str
    database: str | None = None
    database_ms: int | None = None
    secrets: str | None = None
    providers: list[str] | None = None
    response_time_ms: int
    circuits: dict[str, CircuitState]


class PartHealth(BaseModel):
    """How a binding of the gateway is that is no service: `ok`, `missing`, `failed` or `timeout`."""

    status: str
    response_time_ms: int


class HealthReport(BaseModel):
    """How the whole system is; `secrets` are the gateway's own."""

    status: Literal["ok", "degraded"]
    service: Literal["gateway"] = "gateway"
    version: str
    environment: str
    secrets: Literal["ok", "missing"]
    services: dict[str, ServiceHealth]
    bindings: dict[str, PartHealth]
