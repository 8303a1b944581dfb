"""Xendit's simulator with Xendit's own Python SDK as its client.

The SDK's classes speak the API before v3, of which the simulator has refunds; its client speaks any path, so v3 is
asked through that. What this proves: authentication, paths, JSON both ways and the shape of errors.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.server import Running, serving
from tests.providers.xendit import SECRET_KEY

# The SDK has no types, so that its names are looked up while running.
sdk: Any = importlib.import_module("xendit")
refunds: Any = importlib.import_module("xendit.refund.refund_api")

V3 = {"api-version": "2024-11-11", "Content-Type": "application/json", "Accept": "application/json"}
QRIS = {
    "reference_id": "order-1",
    "type": "PAY",
    "country": "ID",
    "currency": "IDR",
    "request_amount": 125000,
    "channel_code": "QRIS",
    "channel_properties": {},
}


@pytest.fixture
def running() -> Iterator[Running]:
    with serving() as running:
        yield running


def _client(running: Running, secret_key: str = SECRET_KEY) -> Any:
    return sdk.ApiClient(sdk.Configuration(host=running.url("xendit"), api_key=secret_key))


def _ask(client: Any, method: str, path: str, body: object = None) -> dict[str, Any]:
    answer: dict[str, Any] = client.call_api(
        path,
        method,
        header_params=dict(V3),
        body=body,
        response_type=({str: (bool, dict, float, int, list, str, type(None))},),
        _return_http_data_only=True,
        _check_type=False,
    )
    return answer


def test_sdk_creates_and_finds_a_v3_payment_request(running: Running) -> None:
    with _client(running) as client:
        created = _ask(client, "POST", "/v3/payment_requests", QRIS)
        assert (created["status"], created["request_amount"]) == ("REQUIRES_ACTION", 125000)
        assert created["actions"][0]["descriptor"] == "QR_STRING"
        found = _ask(client, "GET", f"/v3/payment_requests/{created['payment_request_id']}")
        assert found["reference_id"] == "order-1"
        running.control("xendit", "pay", reference="order-1")
        paid = _ask(client, "GET", f"/v3/payment_requests/{created['payment_request_id']}")
        assert (paid["status"], paid["latest_payment_id"][:3]) == ("SUCCEEDED", "py-")


def test_sdk_refunds_a_part_and_reads_the_refund(running: Running) -> None:
    with _client(running) as client:
        created = _ask(client, "POST", "/v3/payment_requests", QRIS)
        running.control("xendit", "pay", reference="order-1")
        api = refunds.RefundApi(client)
        asked = {
            "payment_request_id": created["payment_request_id"],
            "reference_id": "refund-1",
            "amount": 25000.0,
            "currency": "IDR",
            "reason": "REQUESTED_BY_CUSTOMER",
        }
        made = api.create_refund(create_refund=refunds.CreateRefund(**asked))
        assert (made.amount, made.currency, made.reference_id) == (25000.0, "IDR", "refund-1")
        assert made.payment_request_id == created["payment_request_id"]
        assert api.get_refund(made.id).reference_id == "refund-1"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"request_amount": 0.5}, "400", "INVALID_VALUE_ERROR"),
        ({"reference_id": ""}, "400", "API_VALIDATION_ERROR"),
        (
            {
                "channel_code": "CARDS",
                "channel_properties": {
                    "success_return_url": "https://shop.example",
                    "failure_return_url": "https://shop.example",
                },
            },
            "400",
            "INVALID_TOKEN",
        ),
    ],
)
def test_sdk_reads_the_code_of_a_refusal(running: Running, change: dict[str, Any], status: str, code: str) -> None:
    with _client(running) as client, pytest.raises(sdk.XenditSdkException) as refusal:
        _ask(client, "POST", "/v3/payment_requests", {**QRIS, **change})
    assert (refusal.value.status, refusal.value.errorCode) == (status, code)


def test_sdk_with_another_key_is_not_admitted(running: Running) -> None:
    with _client(running, "xnd_development_other") as client, pytest.raises(sdk.XenditSdkException) as refusal:
        _ask(client, "POST", "/v3/payment_requests", QRIS)
    assert (refusal.value.status, refusal.value.errorCode) == ("401", "INVALID_API_KEY")
