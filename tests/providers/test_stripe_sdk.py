"""The Stripe simulator as Stripe's own SDK sees it."""

from collections.abc import Iterator

import pytest
import stripe

from tests.providers.inbox import Inbox, taking_in
from tests.providers.server import Running, serving

Simulated = tuple[stripe.StripeClient, Running, Inbox]


def client(running: Running, secret_key: str = "sk_test_local") -> stripe.StripeClient:
    return stripe.StripeClient(secret_key, base_addresses={"api": running.url("stripe")}, max_network_retries=0)


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    with taking_in() as inbox, serving(notify=inbox.address) as running:
        yield client(running), running, inbox


def pay(
    sdk: stripe.StripeClient, token: str = "pm_card_visa", amount: int = 1250, key: str | None = None
) -> stripe.PaymentIntent:
    return sdk.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "payment_method": token,
            "allowed_payment_method_types": ["card"],
            "confirm": True,
            "return_url": "https://shop.example",
            "metadata": {"reference": "pay_1"},
        },
        {"idempotency_key": key} if key else {},
    )


def test_intent_is_made_confirmed_and_read(simulated: Simulated) -> None:
    sdk, _, _ = simulated
    made = sdk.v1.payment_intents.create({"amount": 1250, "currency": "usd", "metadata": {"reference": "pay_1"}})
    assert made.status == "requires_payment_method"
    confirmed = sdk.v1.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})
    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 1250)
    read = sdk.v1.payment_intents.retrieve(made.id)
    assert (read.status, read.amount, read.metadata["reference"]) == ("succeeded", 1250, "pay_1")


def test_declined_card_is_a_card_error(simulated: Simulated) -> None:
    with pytest.raises(stripe.CardError) as refusal:
        pay(simulated[0], "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert refusal.value.code == "card_declined"
    assert refusal.value.error is not None
    assert refusal.value.error.decline_code == "insufficient_funds"
    assert refusal.value.error.payment_intent is not None
    assert refusal.value.error.payment_intent.status == "requires_payment_method"


def test_authentication_is_asked_for_by_a_redirect(simulated: Simulated) -> None:
    intent = pay(simulated[0], "pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.type == "redirect_to_url"
    assert intent.next_action.redirect_to_url is not None
    assert intent.next_action.redirect_to_url.return_url == "https://shop.example"


def test_repeated_key_answers_the_same_and_says_so(simulated: Simulated) -> None:
    sdk, running, _ = simulated
    first, second = pay(sdk, key="key-1"), pay(sdk, key="key-1")
    assert first.id == second.id
    assert second.last_response is not None
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        pay(sdk, amount=1300, key="key-1")
    assert len(running.providers.simulators["stripe"].entries) == 1


def test_intent_is_cancelled_once(simulated: Simulated) -> None:
    sdk, _, _ = simulated
    made = sdk.v1.payment_intents.create({"amount": 1250, "currency": "usd"})
    cancelled = sdk.v1.payment_intents.cancel(made.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.v1.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})
    assert refusal.value.code == "payment_intent_unexpected_state"


def test_search_by_metadata_is_behind(simulated: Simulated) -> None:
    pay(simulated[0])
    assert simulated[0].v1.payment_intents.search({"query": "metadata['reference']:'pay_1'"}).data == []


def test_refunds_are_made_read_and_paged(simulated: Simulated) -> None:
    sdk, _, _ = simulated
    intent = pay(sdk)
    made = [
        sdk.v1.refunds.create({"payment_intent": intent.id, "amount": 100, "metadata": {"refund_key": f"r{number}"}})
        for number in range(3)
    ]
    assert {refund.status for refund in made} == {"succeeded"}
    listed = sdk.v1.refunds.list({"payment_intent": intent.id, "limit": 2})
    assert [refund.id for refund in listed.auto_paging_iter()] == [refund.id for refund in reversed(made)]
    read = sdk.v1.refunds.retrieve(made[0].id)
    assert read.metadata is not None
    assert read.metadata["refund_key"] == "r0"
    rest = sdk.v1.refunds.create({"payment_intent": intent.id})
    assert rest.amount == 950
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.v1.refunds.create({"payment_intent": intent.id, "amount": 1})
    assert refusal.value.code == "charge_already_refunded"


def test_unknown_parameter_and_unknown_intent_are_refused(simulated: Simulated) -> None:
    sdk, _, _ = simulated
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
        sdk.v1.payment_intents.create({"amount": 1250, "currency": "usd", "description": "not simulated"})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.v1.payment_intents.retrieve("pi_unknown")
    assert (refusal.value.code, refusal.value.http_status) == ("resource_missing", 404)


def test_wrong_key_is_an_authentication_error(simulated: Simulated) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client(simulated[1], "sk_test_other").v1.payment_intents.retrieve("pi_unknown")


def test_breakdown_is_an_api_error(simulated: Simulated) -> None:
    sdk, running, _ = simulated
    running.control("stripe", "next", fault="error_500")
    with pytest.raises(stripe.APIError):
        pay(sdk)


def test_webhooks_are_signed_as_the_sdk_wants_them(simulated: Simulated) -> None:
    sdk, running, inbox = simulated
    intent = pay(sdk)
    (webhook,) = inbox.wait_for(1)
    event = sdk.construct_event(webhook.body, webhook.headers["stripe-signature"], "whsec_local")
    assert (event.type, event.data.object["id"]) == ("payment_intent.succeeded", intent.id)
    running.control("stripe", "webhook", reference="pay_1", proof="wrong")
    forged = inbox.wait_for(2)[1]
    with pytest.raises(stripe.SignatureVerificationError):
        sdk.construct_event(forged.body, forged.headers["stripe-signature"], "whsec_local")


def test_dispute_is_told_listed_and_ended_as_the_sdk_reads_it(simulated: Simulated) -> None:
    sdk, running, inbox = simulated
    intent = pay(sdk)
    # Its webhook comes when it will.
    inbox.wait_for(1)
    for number, (status, shown, event_type) in enumerate(
        (
            ("inquiry", "warning_needs_response", "charge.dispute.created"),
            ("open", "needs_response", "charge.dispute.created"),
            ("lost", "lost", "charge.dispute.closed"),
        )
    ):
        running.control("stripe", "dispute", reference="pay_1", status=status, amount_minor=400)
        webhook = inbox.wait_for(number + 2)[-1]
        event = sdk.construct_event(webhook.body, webhook.headers["stripe-signature"], "whsec_local")
        assert (event.type, event.data.object["payment_intent"]) == (event_type, intent.id)
        (dispute,) = sdk.v1.disputes.list({"payment_intent": intent.id}).data
        assert (dispute.status, dispute.amount, dispute.currency) == (shown, 400, "usd")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.v1.refunds.create({"payment_intent": intent.id})
    assert refusal.value.code == "charge_disputed"


def test_refund_that_fails_after_it_was_made_is_told(simulated: Simulated) -> None:
    sdk, running, inbox = simulated
    made = sdk.v1.refunds.create({"payment_intent": pay(sdk).id})
    seen = len(inbox.wait_for(2))
    running.control("stripe", "fail_refund", reference="pay_1")
    webhook = inbox.wait_for(seen + 1)[-1]
    event = sdk.construct_event(webhook.body, webhook.headers["stripe-signature"], "whsec_local")
    assert (event.type, event.data.object["id"]) == ("refund.failed", made.id)
    assert sdk.v1.refunds.retrieve(made.id).status == "failed"
