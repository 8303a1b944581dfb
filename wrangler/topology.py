"""What Pasar consists of: every Worker, what it binds to, owns, publishes and hears, in each environment.

This data is the one source of the committed Worker configurations, the binding matrix, the deploy order and the
local run. Importing this module checks it.
"""

from __future__ import annotations

from wrangler.topology_model import (
    EVERY_MINUTE,
    Assets,
    Binding,
    DurableObject,
    Quota,
    RateLimit,
    Secret,
    Setting,
    Topology,
    Worker,
    Workflow,
    database,
    inbox,
)
from wrangler.topology_rules import checked

VERSION = "0.1.0"
# Python 3.14 is the runtime from 2026-09-08 on.
COMPATIBILITY_DATE = "2026-11-17"

_ORDER_EVENTS = (
    "order.placed",
    "order.awaiting_approval",
    "order.awaiting_payment",
    "order.confirmed",
    "order.rejected",
)
_PAYMENT_EVENTS = (
    "payment.captured",
    "payment.declined",
    "payment.expired",
    "payment.cancelled",
    "payment.refunded",
    "payment.refund_due",
)
# The payment providers, each with the secrets without which it is absent (those of M-Pesa's reversals: absent too).
PROVIDER_SECRETS = {
    "xendit": ("XENDIT_SECRET_KEY", "XENDIT_CALLBACK_TOKEN"),
    "midtrans": ("MIDTRANS_SERVER_KEY",),
    "stripe": ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
    "paypal": ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"),
    "mpesa": (
        "MPESA_CONSUMER_KEY",
        "MPESA_CONSUMER_SECRET",
        "MPESA_PASSKEY",
        "MPESA_SHORTCODE",
        "MPESA_CALLBACK_SECRET",
        "MPESA_INITIATOR",
        "MPESA_SECURITY_CREDENTIAL",
    ),
}


def provider_url(provider: str) -> str:
    """The name of the setting that says where a payment provider is; empty for its own address."""
    return f"{provider.upper()}_URL"


# Empty: PUBLIC_URL is entered by whoever deploys, XENDIT_EWALLET is DANA, and M-Pesa may call back from any address;
# in production M-Pesa is absent until its addresses are entered.
_PAYMENT_SETTINGS = (
    "PUBLIC_URL",
    *map(provider_url, PROVIDER_SECRETS),
    "XENDIT_EWALLET",
    "MPESA_CALLBACK_ADDRESSES",
)

_USER_EVENTS = (
    "user.registered",
    "user.role_changed",
    "user.disabled",
    "user.enabled",
    "company.founded",
    "company.approved",
    "company.rejected",
    "company.member_added",
    "company.member_changed",
    "company.member_removed",
)
# The issuer is the same for the user service, which signs, and the gateway, which verifies.
_TOKEN_SETTINGS = (Setting("TOKEN_ISSUER", local="pasar-local", staging="pasar-staging", production="pasar"),)


# On this machine everybody has one address: a whole test suite, or 50 guests at once.
_UNLIMITED = Quota(100_000, period_seconds=60)


def _rate_limit(binding: str, requests_a_minute: int) -> RateLimit:
    deployed = Quota(requests_a_minute, period_seconds=60)
    return RateLimit(binding, local=_UNLIMITED, staging=deployed, production=deployed)


def _everywhere(name: str, value: str) -> Setting:
    return Setting(name, local=value, staging=value, production=value)


_SIGN_IN_SETTINGS = (
    _everywhere("ACCESS_TOKEN_SECONDS", "600"),
    _everywhere("SESSION_SECONDS", "2592000"),
    # A new signing key signs only after every verifier has had the time to hear of it.
    _everywhere("KEY_OVERLAP_SECONDS", "300"),
    # OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
    _everywhere("ARGON2_MEMORY_KIB", "19456"),
    _everywhere("ARGON2_PASSES", "2"),
    _everywhere("ARGON2_LANES", "1"),
    _everywhere("SIGN_IN_ATTEMPTS", "10"),
    _everywhere("SIGN_IN_ATTEMPTS_PER_ACCOUNT", "50"),
    # Whole test suites sign in from one address.
    Setting("SIGN_IN_ATTEMPTS_PER_ADDRESS", local="100000", staging="100", production="100"),
    _everywhere("SIGN_IN_WINDOW_SECONDS", "900"),
)

PASAR = checked(
    Topology(
        workers=(
            Worker(
                name="gateway",
                bindings=(
                    Binding("PRODUCT", "product"),
                    Binding("PRODUCT_ADMIN", "product", "Admin"),
                    Binding("INVENTORY", "inventory"),
                    Binding("INVENTORY_ADMIN", "inventory", "Admin"),
                    Binding("PAYMENT", "payment"),
                    Binding("PAYMENT_ADMIN", "payment", "Admin"),
                    Binding("PAYMENT_WEBHOOKS", "payment", "Webhooks"),
                    Binding("ORDER", "order"),
                    Binding("ORDER_ADMIN", "order", "Admin"),
                    Binding("USER", "user"),
                    Binding("USER_ADMIN", "user", "Admin"),
                    Binding("USER_IDENTITY", "user", "Identity"),
                    Binding("USER_COMPANIES", "user", "Companies"),
                ),
                # A deployed shop enters the origins of its own pages here, separated by commas.
                settings=(Setting("CORS_ORIGINS", local="*", staging="", production=""), *_TOKEN_SETTINGS),
                rate_limits=(
                    _rate_limit("LIMIT_READ", 600),
                    _rate_limit("LIMIT_WRITE", 120),
                    _rate_limit("LIMIT_SIGN_IN", 10),
                    _rate_limit("LIMIT_CHECKOUT", 20),
                    # A provider tells of all its payments from few addresses, and tells again what was refused.
                    _rate_limit("LIMIT_WEBHOOK", 600),
                ),
                assets=Assets("ASSETS", ".pasar/assets"),
                # Elsewhere than on this machine staff have accounts of their own.
                secrets=(Secret("STAFF_TOKEN", environments=("local",)),),
                public=True,
            ),
            Worker(
                name="product",
                entrypoints=("Default", "Admin", "Pricing"),
                database=database("product"),
                publishes=("product.created", "product.changed", "product.deleted"),
                crons=(EVERY_MINUTE,),
            ),
            Worker(
                name="inventory",
                entrypoints=("Default", "Admin", "Reservations"),
                database=database("inventory"),
                publishes=("stock.low", "stock.reserved", "stock.confirmed", "stock.released"),
                crons=(EVERY_MINUTE,),
                settings=(Setting("HOLD_SECONDS", local="600", staging="600", production="600"),),
            ),
            Worker(
                name="payment",
                entrypoints=("Default", "Admin", "Charges", "Webhooks"),
                database=database("payment"),
                publishes=("payment.pending", *_PAYMENT_EVENTS, "payment.disputed"),
                crons=(EVERY_MINUTE,),
                settings=(
                    Setting("SANDBOX", local="enabled", staging="enabled", production="disabled"),
                    Setting("WEBHOOK_BODY_DAYS", local="90", staging="90", production="90"),
                    *(Setting(name, local="", staging="", production="") for name in _PAYMENT_SETTINGS),
                ),
                optional_secrets=tuple(name for secrets in PROVIDER_SECRETS.values() for name in secrets),
            ),
            Worker(
                name="user",
                entrypoints=("Default", "Admin", "Identity", "Companies", "Spending"),
                database=database("user"),
                publishes=_USER_EVENTS,
                crons=(EVERY_MINUTE,),
                settings=(*_TOKEN_SETTINGS, *_SIGN_IN_SETTINGS),
                secrets=(Secret("SIGNING_KEY_SECRET"),),
            ),
            Worker(
                name="order",
                entrypoints=("Default", "Admin"),
                bindings=(
                    Binding("PRODUCT_PRICING", "product", "Pricing"),
                    Binding("INVENTORY_RESERVATIONS", "inventory", "Reservations"),
                    Binding("PAYMENT_CHARGES", "payment", "Charges"),
                    Binding("USER_SPENDING", "user", "Spending"),
                ),
                database=database("order"),
                publishes=_ORDER_EVENTS,
                subscribes=_ORDER_EVENTS + _PAYMENT_EVENTS,
                consumes=inbox("order"),
                # How long an order over a buyer's spending limit waits for an approver.
                settings=(_everywhere("APPROVAL_SECONDS", "604800"),),
                durable_objects=(DurableObject("ORDERS", "OrderObject", migration_tag="v1"),),
                workflows=(Workflow("ORDER_SAGA", "order-saga", "OrderSaga"),),
                packages=("shared_kernel", "workflows/order_saga"),
            ),
        )
    )
)
