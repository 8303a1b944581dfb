"""What Pasar consists of: every Worker, what it binds to, owns, publishes and hears, in each environment.

This data is the one source of the committed Worker configurations, the binding matrix, the deploy order and the
local run. Importing this module checks it.
"""

from __future__ import annotations

from wrangler.topology_model import (
    EVERY_MINUTE,
    Binding,
    DurableObject,
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

_ORDER_EVENTS = ("order.placed", "order.awaiting_payment", "order.confirmed", "order.rejected")
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
                ),
                # A deployed shop enters the origins of its own pages here, separated by commas.
                settings=(Setting("CORS_ORIGINS", local="*", staging="", production=""),),
                secrets=("STAFF_TOKEN",),
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
                name="order",
                entrypoints=("Default", "Admin"),
                bindings=(
                    Binding("PRODUCT_PRICING", "product", "Pricing"),
                    Binding("INVENTORY_RESERVATIONS", "inventory", "Reservations"),
                    Binding("PAYMENT_CHARGES", "payment", "Charges"),
                ),
                database=database("order"),
                publishes=_ORDER_EVENTS,
                subscribes=_ORDER_EVENTS + _PAYMENT_EVENTS,
                consumes=inbox("order"),
                durable_objects=(DurableObject("ORDERS", "OrderObject", migration_tag="v1"),),
                workflows=(Workflow("ORDER_SAGA", "order-saga", "OrderSaga"),),
                packages=("shared_kernel", "workflows/order_saga"),
            ),
        )
    )
)
