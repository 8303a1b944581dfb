"""What the gateway asks of the order service: placing orders and reading them."""

import hashlib
import logging
from collections.abc import Callable

from order.application.messages import FindPlaced, PaymentMeans, PlaceAtPrices
from order.application.ports import Aggregate, OrderList
from order.domain.commands import Place
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.contracts.order import GetEvents, GetOrder, ListOrders, Order, Placed, PlaceOrder
from shared_kernel.contracts.product import Market, PriceLines, Pricing
from shared_kernel.ids import derived_id
from shared_kernel.rpc import Json, Principal

_log = logging.getLogger(__name__)

RETAIL: Market = "retail"


class Orders:
    """The use cases behind the public routes of one call."""

    def __init__(
        self, aggregate: Callable[[str], Aggregate], pricing: Pricing, list_: OrderList, principal: Principal
    ) -> None:
        self._aggregate = aggregate
        self._pricing = pricing
        self._list = list_
        self._principal = principal

    async def place_order(self, request: PlaceOrder) -> Placed:
        """Freeze the prices and place the order.

        Its id comes from the caller and his key, so the same request always meets the same object, which
        answers it as before even when a product has gone since.
        """
        order_id = derived_id("ord", self._principal.kind, self._principal.id, request.idempotency_key)
        fingerprint = hashlib.sha256(request.request.model_dump_json().encode()).hexdigest()
        aggregate = self._aggregate(order_id)
        found = await aggregate.find_placed(FindPlaced(fingerprint=fingerprint))
        if found.placed is not None:
            return found.placed
        wanted = request.request
        priced = await self._pricing.price_lines(PriceLines(market=RETAIL, lines=wanted.items))
        command = Place(
            market=RETAIL,
            lines=tuple(priced.lines),
            total=priced.total,
            email=wanted.email,
            shipping_address=wanted.shipping_address,
            provider=wanted.payment.provider,
            method=wanted.payment.method,
        )
        paid = wanted.payment
        means = PaymentMeans(token=paid.token, phone=paid.phone, bank=paid.bank)
        return await aggregate.place(
            PlaceAtPrices(order_id=order_id, fingerprint=fingerprint, means=means, command=command)
        )

    async def get_order(self, request: GetOrder) -> Order:
        """The order as it is, or as it was."""
        return await self._aggregate(request.id).get_order(request)

    async def get_events(self, request: GetEvents) -> Json:
        """The order's history."""
        return await self._aggregate(request.id).get_events(request)

    async def health(self, request: Nothing) -> Health:
        """Whether the read model answers."""
        try:
            await self._list.version_of("")
        except Exception:
            _log.exception("the list of orders cannot be read")
            return Health(status="degraded", database="unavailable")
        return Health(status="ok", database="ok")


class OrderAdmin:
    """What staff ask of the list of orders."""

    def __init__(self, list_: OrderList, principal: Principal) -> None:
        self._list = list_
        self._principal = principal

    async def list_orders(self, request: ListOrders) -> Json:
        """A page of all orders, newest first."""
        self._principal.require_staff()
        return await self._list.page(request)
