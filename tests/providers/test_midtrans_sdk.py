"""Midtrans' simulator with Midtrans' own Python SDK as its client.

What this proves: authentication, paths, JSON both ways, and that the SDK tells our refusals from our answers.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.providers.midtrans import SERVER_KEY
from tests.providers.server import Running, serving

# The SDK has no types, so that its names are looked up while running.
sdk: Any = importlib.import_module("midtransclient")
errors: Any = importlib.import_module("midtransclient.error_midtrans")


@pytest.fixture
def running() -> Iterator[Running]:
    with serving() as running:
        yield running


def _client(running: Running, server_key: str = SERVER_KEY) -> Any:
    client = sdk.CoreApi(is_production=False, server_key=server_key, client_key="SB-Mid-client-local")
    # The SDK takes no address, and reads this one of its own from its configuration.
    client.api_config.CORE_SANDBOX_BASE_URL = running.url("midtrans")
    return client


def _charge(payment_type: str, **more: object) -> dict[str, object]:
    order = {"order_id": "order-1", "gross_amount": 24145}
    return {"payment_type": payment_type, "transaction_details": order, **more}


def test_sdk_charges_a_bank_transfer_and_finds_it_by_both_ids(running: Running) -> None:
    client = _client(running)
    made = client.charge(_charge("bank_transfer", bank_transfer={"bank": "bni"}))
    assert (made["status_code"], made["transaction_status"], made["gross_amount"]) == ("201", "pending", "24145.00")
    assert made["va_numbers"][0]["bank"] == "bni"
    running.control("midtrans", "pay", reference="order-1")
    for reference in ("order-1", made["transaction_id"]):
        found = client.transactions.status(reference)
        assert (found["status_code"], found["transaction_status"]) == ("200", "settlement")


def test_sdk_confirms_a_notification_by_asking(running: Running) -> None:
    client = _client(running)
    made = client.charge(_charge("qris"))
    assert made["qr_string"]
    running.control("midtrans", "fail", reference="order-1")
    told = client.transactions.notification({"transaction_id": made["transaction_id"]})
    assert (told["status_code"], told["transaction_status"]) == ("202", "deny")


def test_sdk_refunds_a_part_and_sees_it(running: Running) -> None:
    client = _client(running)
    client.charge(_charge("gopay"))
    running.control("midtrans", "pay", reference="order-1")
    for _ in range(2):
        refunded = client.transactions.refund("order-1", {"refund_key": "ref-1", "amount": 4145, "reason": "test"})
        assert (refunded["status_code"], refunded["refund_amount"]) == ("200", "4145.00")
    direct = client.transactions.refundDirect("order-1", {"refund_key": "ref-2", "amount": 20000})
    assert direct["transaction_status"] == "refund"
    found = client.transactions.status("order-1")
    assert [refund["refund_key"] for refund in found["refunds"]] == ["ref-1", "ref-2"]


def test_sdk_cancels_and_expires(running: Running) -> None:
    client = _client(running)
    client.charge(_charge("echannel", echannel={"bill_info1": "Payment:", "bill_info2": "debt"}))
    expired = client.transactions.expire("order-1")
    assert (expired["status_code"], expired["transaction_status"]) == ("407", "expire")
    # The order_id of an expired charge may be used again.
    assert client.charge(_charge("gopay"))["status_code"] == "201"
    assert client.transactions.cancel("order-1")["transaction_status"] == "cancel"


def test_sdk_captures_a_card_without_authentication(running: Running) -> None:
    made = _client(running).charge(_charge("credit_card", credit_card={"token_id": "481111-1114-token"}))
    assert (made["status_code"], made["transaction_status"], made["fraud_status"]) == ("200", "capture", "accept")


def test_sdk_raises_what_the_simulator_refuses(running: Running) -> None:
    client = _client(running)
    client.charge(_charge("qris"))
    refused: dict[str, Callable[[], Any]] = {
        "401": lambda: _client(running, "SB-Mid-server-wrong").transactions.status("order-1"),
        "404": lambda: client.transactions.status("order-2"),
        "406": lambda: client.charge(_charge("qris")),
        "412": lambda: client.transactions.refund("order-1", {"amount": 1}),
        "400": lambda: client.charge({"payment_type": "qris"}),
    }
    for code, ask in refused.items():
        with pytest.raises(errors.MidtransAPIError) as refusal:
            ask()
        assert refusal.value.api_response_dict["status_code"] == code
