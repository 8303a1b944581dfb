"""Everything that the API can do, in the order in which its description lists it."""

from typing import Any

from gateway.routes import (
    accounts,
    catalogue,
    companies,
    description,
    orders,
    payments,
    stock,
    system,
    users,
    webhooks,
)
from gateway.routing import Route

ROUTES: tuple[Route[Any], ...] = description.with_description(
    (
        *catalogue.ROUTES,
        *stock.ROUTES,
        *orders.ROUTES,
        *payments.ROUTES,
        *webhooks.ROUTES,
        *accounts.ROUTES,
        *users.ROUTES,
        *companies.ROUTES,
        *system.ROUTES,
    )
)
