"""Payments of which nobody tells are found by the cron, whatever the provider; and providers that are not there."""

from pathlib import Path

from tests.system.payment_ways import WAITING, Placed, Way, assert_confirmed, order_by, place, wait_for_customer
from tests.system.providers import Providers
from tests.system.shop import Shop, at_once
from wrangler import running

# Looked at a minute after its last change, by a cron that comes once a minute.
_FOUND_WITHIN_SECONDS = 180


def test_payment_whose_webhook_is_lost_is_found_and_confirms_the_order(shop: Shop, providers: Providers) -> None:
    def unheard(way: Way) -> Placed:
        placed = place(shop, way)
        wait_for_customer(shop, placed)
        assert providers.tell(way.provider, "pay", placed.payment_id, webhook="never") == []
        return placed

    for placed in at_once(WAITING, unheard):
        shop.wait_until_ended(placed.order, _FOUND_WITHIN_SECONDS)
        assert_confirmed(shop, providers, placed)
    assert shop.ledger().balanced


def test_provider_without_its_secrets_is_absent_and_refuses(tmp_path: Path) -> None:
    options = ["--no-sample", "--no-providers"]
    with (
        running.started(tmp_path / "state", options, tmp_path / "system.log") as system,
        Shop(system.connection.url, system.connection.staff_token) as shop,
    ):
        assert system.connection.providers_url is None
        assert shop.ask("GET", "/health").json()["services"]["payment"]["providers"] == ["sandbox"]
        product = shop.make_product(5)
        for way in WAITING:
            if way.currency == product.price.currency:
                order = shop.wait_until_ended(shop.place_order(order_by(way, product)))
                assert order.rejection is not None
                assert (order.status, order.rejection.code) == ("rejected", "provider_not_available")
        assert shop.ask("POST", "/api/webhooks/xendit", {}).status_code == 422
        assert [(level.on_hand, level.reserved) for level in shop.levels(product)] == [(5, 0)]
