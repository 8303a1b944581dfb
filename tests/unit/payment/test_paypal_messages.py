"""What PayPal writes and wants written: amounts, and events that it confirms."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from payment.application.ports import HttpAnswer, Notice, ProviderError, Webhook, WebhookRefused
from payment.infrastructure import paypal_webhook
from payment.infrastructure.paypal_api import PayPalApi, Tokens, paypal_amount, paypal_decimals
from shared_kernel.errors import Invalid
from shared_kernel.money import EXPONENTS, Money

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
HEADERS = {
    f"paypal-{name}": "x"
    for name in ("auth-algo", "cert-url", "transmission-id", "transmission-sig", "transmission-time")
}


class SayingSo:
    """A PayPal that gives a token and answers every other question with the same words."""

    def __init__(self, status: int, text: str) -> None:
        self.asked: list[str] = []
        self._answer = HttpAnswer(status, {}, text)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if url.endswith("/v1/oauth2/token"):
            return HttpAnswer(200, {}, '{"access_token": "t", "expires_in": 32400}')
        self.asked.append(body or "")
        return self._answer


def read(http: SayingSo, body: str, headers: Mapping[str, str] = HEADERS) -> Notice:
    api = PayPalApi(http, "https://paypal.example", "client", "secret", lambda: NOW, Tokens())
    return asyncio.run(paypal_webhook.read(Webhook("paypal", headers, body), api, "webhook-1"))


def confirmed(kind: str, resource: JsonValue) -> Notice:
    http = SayingSo(200, '{"verification_status": "SUCCESS"}')
    return read(http, json.dumps({"id": "WH-1", "event_type": kind, "resource": resource}))


@pytest.mark.parametrize("kind", ["CREATED", "UPDATED", "RESOLVED"])
def test_whatever_happens_to_a_dispute_is_a_reason_to_ask_for_it(kind: str) -> None:
    transactions: list[JsonValue] = [{"seller_transaction_id": "1", "custom": "pay_1"}]
    notice = confirmed(f"CUSTOMER.DISPUTE.{kind}", {"disputed_transactions": transactions})
    assert (notice.reference, notice.disputed) == ("pay_1", True)


def test_capture_that_paypal_has_reversed_is_a_reason_to_ask_for_disputes() -> None:
    notice = confirmed("PAYMENT.CAPTURE.REVERSED", {"id": "R1", "invoice_id": "pay_1", "status": "COMPLETED"})
    assert (notice.reference, notice.disputed) == ("pay_1", True)


def test_what_was_noted_beside_the_reference_is_not_part_of_it() -> None:
    about: JsonValue = {"id": "O1", "purchase_units": [{"custom_id": "pay_1.cancelled"}]}
    assert confirmed("CHECKOUT.ORDER.APPROVED", about) == Notice("WH-1", "pay_1", "O1")


def test_event_about_something_else_tells_of_no_charge() -> None:
    assert confirmed("MERCHANT.PARTNER-CONSENT.REVOKED", {"id": 7}) == Notice("WH-1")


def test_event_goes_back_to_paypal_as_it_came() -> None:
    http = SayingSo(200, '{"verification_status": "SUCCESS"}')
    body = '{ "id":"WH-1","event_type" : "x",  "resource":{"id":"\\u00e9\\/"} }'
    read(http, body)
    assert f'"webhook_event": {body}}}' in http.asked[0]
    assert json.loads(http.asked[0])["webhook_id"] == "webhook-1"


@pytest.mark.parametrize(
    ("status", "text"),
    [(200, '{"verification_status": "FAILURE"}'), (400, '{"name": "VALIDATION_ERROR"}')],
)
def test_event_that_paypal_does_not_confirm_is_refused(status: int, text: str) -> None:
    with pytest.raises(WebhookRefused):
        read(SayingSo(status, text), '{"id": "WH-1", "event_type": "x", "resource": {}}')


@pytest.mark.parametrize(("status", "text"), [(500, "{}"), (200, "<html>"), (200, "{}")])
def test_no_verdict_is_no_clear_answer(status: int, text: str) -> None:
    with pytest.raises(ProviderError):
        read(SayingSo(status, text), '{"id": "WH-1", "event_type": "x", "resource": {}}')


@pytest.mark.parametrize("missing", sorted(HEADERS))
def test_every_part_of_the_proof_is_needed(missing: str) -> None:
    http = SayingSo(200, '{"verification_status": "SUCCESS"}')
    with pytest.raises(WebhookRefused):
        read(http, '{"id": "WH-1", "event_type": "x", "resource": {}}', {**HEADERS, missing: ""})
    assert http.asked == []


@pytest.mark.parametrize(
    ("amount", "currency", "value"),
    [(12_50, "USD", "12.50"), (500, "JPY", "500"), (5, "EUR", "0.05"), (1_00, "GBP", "1.00")],
)
def test_amounts_are_written_as_paypal_wants_them(amount: int, currency: str, value: str) -> None:
    assert paypal_amount(Money(amount=amount, currency=currency)).value == value


@pytest.mark.parametrize("currency", ["HUF", "JPY", "TWD"])
def test_currencies_without_decimals_at_paypal(currency: str) -> None:
    assert paypal_decimals(currency) == 0


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(min_value=1, max_value=2**53 - 1))
def test_amount_is_the_same_in_paypals_words_or_refused(currency: str, amount: int) -> None:
    try:
        written = paypal_amount(Money(amount=amount, currency=currency))
    except Invalid:
        assert currency in {"IDR", "INR", "KES", "KRW", "KWD", "TZS", "UGX", "VND"}
    else:
        assert Decimal(written.value) == Decimal(amount).scaleb(-EXPONENTS[currency])
        assert "E" not in written.value
