"""The routes of webhooks: what the payment providers send, and for staff those that failed.

A webhook is passed on as it came; whether it is genuine only the payment service can tell.
"""

from gateway.answers import WebhookPage
from gateway.http import Response, json_of, json_text
from gateway.input import Delivery
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.payment import (
    Admin,
    DeliverWebhook,
    ListWebhooks,
    RunWebhook,
    WebhookReceipt,
    Webhooks,
)


async def receive_webhook(asked: Asked[Delivery]) -> Response:
    """A payment provider's message; it is verified before it is kept, and has its effect once."""
    return await _delivered(asked)


async def receive_webhook_at_secret_path(asked: Asked[Delivery]) -> Response:
    """A message of a payment provider that signs nothing, and proves itself by a path that nobody else knows."""
    return await _delivered(asked)


async def _delivered(asked: Asked[Delivery]) -> Response:
    webhook = DeliverWebhook(
        provider=asked.path["provider"],
        headers=asked.input.headers,
        body=asked.input.text,
        path_secret=asked.path.get("secret", ""),
        address=asked.input.address,
    )
    return json_of(await asked.ask(Webhooks).receive(webhook))


async def list_webhooks(asked: Asked[ListWebhooks]) -> Response:
    """The webhooks that were kept, without what they say."""
    return json_text(await asked.ask(Admin).list_webhooks(asked.input))


async def run_webhook(asked: Asked[Nothing]) -> Response:
    """A webhook has its effect, if it had none yet."""
    return json_of(await asked.ask(Admin).run_webhook(RunWebhook(id=asked.path["id"])))


ROUTES = (
    Route("GET", "/api/webhooks", "payments:manage", list_webhooks, ListWebhooks, "Kept webhooks", output=WebhookPage),
    # Before the route below, which would take `run` for a secret.
    Route(
        "POST",
        "/api/webhooks/{id}/run",
        "payments:manage",
        run_webhook,
        Nothing,
        "Run a webhook again",
        output=WebhookReceipt,
        takes_instead="query",
    ),
    Route(
        "POST",
        "/api/webhooks/{provider}",
        Access.PUBLIC,
        receive_webhook,
        Delivery,
        "For payment providers",
        output=WebhookReceipt,
        refuses=(401,),
        takes_instead="text",
        limit_instead="webhook",
    ),
    Route(
        "POST",
        "/api/webhooks/{provider}/{secret}",
        Access.PUBLIC,
        receive_webhook_at_secret_path,
        Delivery,
        "For payment providers that do not sign",
        output=WebhookReceipt,
        refuses=(401,),
        takes_instead="text",
        limit_instead="webhook",
    ),
)
