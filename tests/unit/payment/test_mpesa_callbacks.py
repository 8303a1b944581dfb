"""Callbacks of M-Pesa, which prove themselves by their address and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from payment.application.ports import WebhookRefused
from tests.unit.payment.mpesa_shop import REFERENCE, Shop, opened, run


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_callback_twice_is_the_same_event(shop: Shop) -> None:
    charge = shop.pushed()
    shop.control("pay", reference=REFERENCE, webhook="twice")
    first, second = [run(shop.provider().read_webhook(each)) for each in shop.inbox.wait_for(2)]
    assert first == second
    assert str(first.provider_reference).startswith(f"{charge.provider_reference}/")


@pytest.mark.parametrize("proof", ["wrong", "missing"])
def test_callback_at_another_address_is_refused(shop: Shop, proof: str) -> None:
    shop.pushed()
    shop.control("pay", reference=REFERENCE, proof=proof)
    with pytest.raises(WebhookRefused):
        shop.notice(1)


@pytest.mark.parametrize("path_secret", ["", ".", "a", "a.b", "é.é"])
def test_address_that_was_made_up_is_refused(shop: Shop, path_secret: str) -> None:
    shop.pushed()
    shop.control("pay", reference=REFERENCE)
    webhook = replace(shop.inbox.wait_for(1)[0], path_secret=path_secret)
    with pytest.raises(WebhookRefused):
        run(shop.provider().read_webhook(webhook))


@pytest.mark.parametrize("body", ["", "[]", "{}", json.dumps({"Body": {"stkCallback": {"ResultCode": 0}}})])
def test_callback_of_another_shape_is_refused(shop: Shop, body: str) -> None:
    shop.pushed()
    shop.control("pay", reference=REFERENCE)
    with pytest.raises(WebhookRefused):
        run(shop.provider().read_webhook(replace(shop.inbox.wait_for(1)[0], body=body)))


@pytest.mark.parametrize(
    ("sender", "is_known"),
    [("196.201.214.200", True), ("196.201.213.7", True), ("196.201.214.201", False), ("", False), ("::1", False)],
)
def test_only_listed_senders_are_heard_where_there_is_a_list(shop: Shop, sender: str, is_known: bool) -> None:
    shop.pushed()
    shop.control("pay", reference=REFERENCE)
    listed = replace(shop.settings(), callback_addresses=("196.201.214.200", "196.201.213.0/24"))
    webhook = replace(shop.inbox.wait_for(1)[0], address=sender)
    if is_known:
        assert run(shop.provider(listed).read_webhook(webhook)).reference == REFERENCE
        return
    with pytest.raises(WebhookRefused):
        run(shop.provider(listed).read_webhook(webhook))
