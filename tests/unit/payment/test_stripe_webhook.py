"""Stripe's signatures, and what its events are about."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from payment.application.ports import Notice, Webhook, WebhookRefused
from payment.infrastructure import stripe_webhook

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
AT = int(NOW.timestamp())
SECRET = "whsec_local"


def signed(body: str, signed_at: int = AT, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{signed_at}.{body}".encode(), hashlib.sha256).hexdigest()


def event(kind: str = "payment_intent.succeeded", **subject: JsonValue) -> str:
    about = {"object": "payment_intent", "id": "pi_1", "metadata": {"reference": "pay_1"}, **subject}
    return json.dumps({"id": "evt_1", "type": kind, "data": {"object": about}})


def read(body: str, header: str | None = None) -> Notice:
    headers = {"stripe-signature": f"t={AT},v1={signed(body)}" if header is None else header}
    return stripe_webhook.read(Webhook("stripe", headers, body), SECRET, NOW)


def test_event_tells_the_charge_by_both_references() -> None:
    assert read(event()) == Notice("evt_1", "pay_1", "pi_1")


def test_one_good_signature_among_several_is_enough() -> None:
    body = event()
    header = f"t={AT},v1={signed(body, secret='whsec_old')},v1={signed(body)},v0=abc"
    assert read(body, header).event_id == "evt_1"


@pytest.mark.parametrize("age_seconds", [0, 300, -300])
def test_signature_lasts_for_300_seconds(age_seconds: int) -> None:
    at = AT - age_seconds
    assert read(event(), f"t={at},v1={signed(event(), at)}").reference == "pay_1"


@pytest.mark.parametrize("age_seconds", [301, -301, 10**9])
def test_signature_of_another_time_is_refused(age_seconds: int) -> None:
    at = AT - age_seconds
    with pytest.raises(WebhookRefused):
        read(event(), f"t={at},v1={signed(event(), at)}")


@pytest.mark.parametrize(
    "header",
    ["", "t=,v1=", "t=x,v1=y", "v1={good}", "t=\u00b2,v1={good}", "t={at}", "t={at},v0={good}", "t={at},v1=\u00e9"],
)
def test_signature_in_another_shape_is_refused(header: str) -> None:
    with pytest.raises(WebhookRefused):
        read(event(), header.format(at=AT, good=signed(event())))


@pytest.mark.parametrize("about", [{"available": [{"amount": 1}]}, {"object": "x", "metadata": 1, "status": 2}])
def test_event_about_something_else_tells_of_no_charge(about: dict[str, JsonValue]) -> None:
    body = json.dumps({"id": "evt_2", "type": "balance.available", "data": {"object": about}})
    assert read(body) == Notice("evt_2")


def test_changed_body_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        read(event(id="pi_2"), f"t={AT},v1={signed(event())}")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "evt_1", "type": "x", "data": {"object": 1}}'])
def test_signed_nonsense_is_refused(body: str) -> None:
    with pytest.raises(WebhookRefused):
        read(body)


def test_refund_is_told_by_its_own_id_and_ours() -> None:
    ours: JsonValue = {"reference": "pay_1", "refund_key": "rfd_1"}
    notice = read(event("refund.created", object="refund", id="re_1", payment_intent="pi_1", metadata=ours))
    assert notice == Notice("evt_1", "pay_1", "pi_1", refund_reference="re_1", refund_key="rfd_1")


@pytest.mark.parametrize("kind", ["created", "updated", "closed", "funds_withdrawn"])
def test_whatever_happens_to_a_dispute_is_a_reason_to_ask_for_it(kind: str) -> None:
    notice = read(event(f"charge.dispute.{kind}", object="dispute", id="dp_1", payment_intent="pi_1"))
    assert (notice.provider_reference, notice.disputed) == ("pi_1", True)
