"""Every way to pay through every fate that it can have, on the running system, with simulated providers."""

import time
from collections.abc import Iterator

import pytest

from tests.system.payment_ways import (
    WAITING,
    WAYS,
    Way,
    assert_confirmed,
    assert_rejected,
    paid,
    place,
    wait_for_customer,
)
from tests.system.providers import Providers
from tests.system.shop import Shop

_SEEN_WITHIN_SECONDS = 30

each_way = pytest.mark.parametrize("way", WAYS, ids=str)
each_waiting_way = pytest.mark.parametrize("way", WAITING, ids=str)


@pytest.fixture(autouse=True)
def balanced(shop: Shop) -> Iterator[None]:
    """The ledger balances after every test."""
    yield
    assert shop.ledger().balanced


@each_way
def test_paid_order_is_confirmed_and_charged_once(shop: Shop, providers: Providers, way: Way) -> None:
    assert_confirmed(shop, providers, paid(shop, providers, way))


@each_waiting_way
def test_customer_who_refuses_is_told_and_charged_nothing(shop: Shop, providers: Providers, way: Way) -> None:
    placed = place(shop, way)
    wait_for_customer(shop, placed)
    assert providers.tell(way.provider, "fail", placed.payment_id) == [200]
    assert_rejected(shop, providers, placed, "payment_declined", "declined")


@each_way
def test_provider_that_declines_charges_nothing(shop: Shop, providers: Providers, way: Way) -> None:
    providers.next(way.provider, "decline")
    placed = place(shop, way)
    if way.declines_when_paid:
        wait_for_customer(shop, placed)
        assert providers.tell(way.provider, "pay", placed.payment_id) == [200]
    assert_rejected(shop, providers, placed, "payment_declined", "declined")


@each_way
def test_time_out_after_the_effect_charges_once(shop: Shop, providers: Providers, way: Way) -> None:
    providers.next(way.provider, "timeout_after_effect")
    placed = place(shop, way)
    if way.answer_is_lost:
        give_up = time.monotonic() + _SEEN_WITHIN_SECONDS
        while not providers.rows(way.provider, placed.payment_id):
            assert time.monotonic() < give_up, "the provider was never asked"
            time.sleep(0.1)
    elif way.instructs is not None:
        wait_for_customer(shop, placed)
    if way.instructs is not None:
        assert providers.tell(way.provider, "pay", placed.payment_id) == [200]
    assert_confirmed(shop, providers, placed)
    assert len(providers.rows(way.provider, placed.payment_id)) == 1


# Whether M-Pesa has sent a prompt nobody can tell after a breakdown, so none is sent again.
@pytest.mark.parametrize("way", [way for way in WAYS if not way.answer_is_lost], ids=str)
def test_provider_that_breaks_down_once_is_asked_again(shop: Shop, providers: Providers, way: Way) -> None:
    providers.next(way.provider, "error_500")
    placed = place(shop, way)
    if way.instructs is not None:
        wait_for_customer(shop, placed)
        assert providers.tell(way.provider, "pay", placed.payment_id) == [200]
    assert_confirmed(shop, providers, placed)


@each_waiting_way
def test_webhook_that_comes_twice_has_one_effect(shop: Shop, providers: Providers, way: Way) -> None:
    before = shop.ledger().balance(f"provider:{way.provider}", way.currency)
    placed = place(shop, way)
    wait_for_customer(shop, placed)
    assert providers.tell(way.provider, "pay", placed.payment_id, webhook="twice") == [200, 200]
    assert_confirmed(shop, providers, placed)
    after = shop.ledger().balance(f"provider:{way.provider}", way.currency)
    assert after - before == placed.order.total.amount


@each_way
def test_webhook_before_the_answer_confirms_the_order(shop: Shop, providers: Providers, way: Way) -> None:
    providers.next(way.provider, "paid_before_answer")
    assert_confirmed(shop, providers, place(shop, way))


@each_waiting_way
def test_webhook_before_the_effect_decides_nothing(shop: Shop, providers: Providers, way: Way) -> None:
    placed = place(shop, way)
    wait_for_customer(shop, placed)
    assert providers.tell(way.provider, "pay", placed.payment_id, webhook="before_answer") == [200]
    assert shop.payment(placed.payment_id).status == "pending"
    assert providers.tell(way.provider, "webhook", placed.payment_id) == [200]
    assert_confirmed(shop, providers, placed)


@each_waiting_way
def test_webhook_without_a_good_proof_is_refused_and_changes_nothing(
    shop: Shop, providers: Providers, way: Way
) -> None:
    placed = place(shop, way)
    wait_for_customer(shop, placed)
    payment, kept = shop.payment(placed.payment_id), shop.newest_webhooks()
    assert providers.tell(way.provider, "pay", placed.payment_id, proof="wrong") == [401]
    assert providers.tell(way.provider, "webhook", placed.payment_id, proof="missing") == [401]
    assert (shop.payment(placed.payment_id), shop.newest_webhooks()) == (payment, kept)
    assert shop.order(placed.order.id).status == "awaiting_payment"
    assert providers.tell(way.provider, "webhook", placed.payment_id) == [200]
    assert_confirmed(shop, providers, placed)


@pytest.mark.parametrize("way", [way for way in WAYS if way.instructs is None], ids=str)
def test_forged_webhook_of_a_card_is_refused(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    for proof in ("wrong", "missing"):
        assert providers.tell(way.provider, "webhook", placed.payment_id, proof=proof) == [401]
    assert_confirmed(shop, providers, placed)


@pytest.mark.parametrize("way", [way for way in WAITING if way.expires_by_itself], ids=str)
def test_charge_that_expires_at_the_provider_rejects_the_order(shop: Shop, providers: Providers, way: Way) -> None:
    placed = place(shop, way)
    wait_for_customer(shop, placed)
    assert providers.tell(way.provider, "expire", placed.payment_id) == [200]
    assert_rejected(shop, providers, placed, "payment_expired", "expired")
