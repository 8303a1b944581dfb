"""Everything that the API can do, in the order in which its description lists it."""

from typing import Any

from gateway.routes import catalogue, description, orders, payments, stock, system, webhooks
from gateway.routing import Route

ROUTES: tuple[Route[Any], ...] = description.with_description(
    (*catalogue.ROUTES, *stock.ROUTES, *orders.ROUTES, *payments.ROUTES, *webhooks.ROUTES, *system.ROUTES)
)
