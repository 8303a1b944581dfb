"""The Stripe adapter against localstripe, a Stripe that somebody else wrote, in a process of its own.

What localstripe 1.15 has is used: intents, their cancellation, refunds and their list, webhooks. It has no idempotency
keys, no search and no return URL, so what rests on those is only shown against our simulator.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import pytest

from payment.application.ports import HttpAnswer, Webhook, WebhookRefused
from payment.domain.charge import Captured, Charge, Declined, Means, RefundDone, Voided
from payment.infrastructure.stripe import StripeProvider, StripeSettings
from shared_kernel.clock import system_clock
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in

SECRET_KEY, WEBHOOK_SECRET = "sk_test_12345", "whsec_localstripe"
START_TIMEOUT_SECONDS = 30
T = TypeVar("T")


class LocalstripeHttp(HttpxHttp):
    """localstripe is of an older version of the API.

    Its `allowed_payment_method_types` is called `payment_method_types`; and it wants the card before the confirmation,
    by a change of the intent ("Not implemented", it says otherwise).
    """

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        """One request, or the two that stand for a confirmation."""
        body = body.replace("allowed_payment_method_types", "payment_method_types") if body else body
        if body and url.endswith("/confirm"):
            changed = await super().send(method, url.removesuffix("/confirm"), headers=headers, body=body)
            if changed.status >= 300:
                return changed
            body = ""
        return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)


@pytest.fixture(scope="module")
def localstripe() -> Iterator[str]:
    """Where localstripe listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(address)
                break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def ask(localstripe: str, method: str, path: str, **fields: str) -> dict[str, object]:
    """localstripe's own answer."""
    answer = httpx.request(method, f"{localstripe}/v1/{path}", auth=(SECRET_KEY, ""), data=fields or None)
    answer.raise_for_status()
    body: dict[str, object] = answer.json()
    return body


def provider(localstripe: str) -> StripeProvider:
    return StripeProvider(LocalstripeHttp(), StripeSettings(localstripe, SECRET_KEY, WEBHOOK_SECRET), system_clock)


def charge(reference: str, provider_reference: str | None = None) -> Charge:
    expires_at = datetime.now(UTC) + timedelta(minutes=15)
    amount = Money(amount=12_50, currency="USD")
    return Charge(f"key-{reference}", reference, amount, "card", expires_at, provider_reference)


def now(work: Coroutine[object, None, T]) -> T:
    return asyncio.run(work)


def paid(localstripe: str, reference: str) -> Charge:
    outcome = now(provider(localstripe).create(charge(reference), Means(token="pm_card_visa")))
    assert isinstance(outcome, Captured)
    return charge(reference, outcome.provider_reference)


def card(localstripe: str, number: str) -> Means:
    """The token of a card, as a browser would make it."""
    fields = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
    return Means(token=str(ask(localstripe, "POST", "payment_methods", type="card", **fields)["id"]))


def test_card_is_charged_and_found(localstripe: str) -> None:
    known = paid(localstripe, "pay_1")
    assert now(provider(localstripe).look_up(known)) == Captured(str(known.provider_reference))
    intent = ask(localstripe, "GET", f"payment_intents/{known.provider_reference}")
    assert (intent["status"], intent["amount"], intent["currency"]) == ("succeeded", 1250, "usd")
    assert intent["metadata"] == {"reference": "pay_1"}


def test_charge_that_is_asked_for_again_is_not_taken_again(localstripe: str) -> None:
    known = paid(localstripe, "pay_2")
    assert now(provider(localstripe).create(known, Means(token="pm_card_visa"))) == Captured(
        str(known.provider_reference)
    )


def test_declined_card(localstripe: str) -> None:
    outcome = now(provider(localstripe).create(charge("pay_3"), card(localstripe, "4000000000000341")))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "card_declined"


def test_card_that_has_to_be_authenticated_is_declined_and_its_charge_ended(localstripe: str) -> None:
    made = ask(localstripe, "POST", "payment_intents", amount="1250", currency="usd")
    known = charge("pay_4", str(made["id"]))
    outcome = now(provider(localstripe).create(known, card(localstripe, "4000002500003155")))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "authentication_required"
    assert ask(localstripe, "GET", f"payment_intents/{made['id']}")["status"] == "canceled"


def test_cancelled_charge_cannot_be_paid(localstripe: str) -> None:
    made = ask(localstripe, "POST", "payment_intents", amount="1250", currency="usd")
    known = charge("pay_5", str(made["id"]))
    assert now(provider(localstripe).look_up(known)) is None
    assert now(provider(localstripe).cancel(known)) == Voided()
    assert now(provider(localstripe).cancel(known)) == Voided()
    assert now(provider(localstripe).create(known, Means(token="pm_card_visa"))) == Voided()


def test_cancelling_a_paid_charge_tells_that_it_is_paid(localstripe: str) -> None:
    known = paid(localstripe, "pay_6")
    assert now(provider(localstripe).cancel(known)) == Captured(str(known.provider_reference))


def test_refunds_are_made_once_for_their_keys_without_idempotency_keys(localstripe: str) -> None:
    known, amount = paid(localstripe, "pay_7"), Money(amount=5_00, currency="USD")
    first = now(provider(localstripe).refund(known, "r1", amount, None))
    assert isinstance(first, RefundDone)
    assert now(provider(localstripe).refund(known, "r1", amount, None)) == first
    assert now(provider(localstripe).refund(known, "r1", amount, first.provider_reference)) == first
    assert now(provider(localstripe).refund(known, "r2", amount, None)) != first
    listed = ask(localstripe, "GET", f"refunds?payment_intent={known.provider_reference}")["data"]
    assert isinstance(listed, list)
    assert [refund["amount"] for refund in listed] == [500, 500]


def told_of(reference: str, inbox: Inbox) -> Webhook:
    """The webhook about this charge, among those of other tests' charges."""
    for count in range(1, 50):
        if reference in (webhook := inbox.wait_for(count)[count - 1]).body:
            return webhook
    raise AssertionError(f"no webhook tells of {reference}")


def test_webhook_of_localstripe_is_read_and_a_forged_one_refused(localstripe: str) -> None:
    with taking_in() as inbox:
        target = {"url": f"{inbox.address}/api/webhooks/stripe", "secret": WEBHOOK_SECRET}
        httpx.post(f"{localstripe}/_config/webhooks/shop", json=target).raise_for_status()
        known = paid(localstripe, "pay_8")
        webhook = told_of("pay_8", inbox)
        # Whoever still tells of other tests' charges finds nobody there.
        httpx.post(f"{localstripe}/_config/webhooks/shop", json={**target, "events": []}).raise_for_status()
    notice = now(provider(localstripe).read_webhook(webhook))
    assert (notice.reference, notice.provider_reference) == ("pay_8", known.provider_reference)
    stranger = StripeProvider(HttpxHttp(), StripeSettings(localstripe, SECRET_KEY, "whsec_other"), system_clock)
    with pytest.raises(WebhookRefused):
        now(stranger.read_webhook(webhook))
