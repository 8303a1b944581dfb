"""The Xendit adapter against the simulator of Xendit's documented API."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from payment.application.ports import HttpAnswer, Notice, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Captured,
    Declined,
    Expired,
    Means,
    RefundDone,
    RefundImpossible,
    RefundPending,
    Voided,
    Waiting,
)
from payment.infrastructure.xendit import XenditProvider
from shared_kernel.contracts.payment import Bank, Method
from shared_kernel.errors import Invalid
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.xendit import CALLBACK_TOKEN
from tests.unit.payment.xendit_shop import BRI, CARD, NOTHING, Shop, a_charge, idr, opened, run


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_qris_waits_with_its_code_and_is_captured_when_paid(shop: Shop) -> None:
    charge = a_charge()
    assert shop.look_up(charge) is None
    waiting = shop.create(charge)
    assert waiting.instructions.type == "qr_code"
    assert waiting.instructions.qr_string.startswith("000201")
    assert shop.look_up(charge) == waiting
    shop.control("pay", reference="pay_1")
    assert shop.look_up(charge) == Captured(waiting.provider_reference)
    assert shop.look_up(replace(charge, provider_reference=waiting.provider_reference)) == shop.look_up(charge)
    assert shop.book() == [
        {
            "reference": "pay_1",
            "amount_minor": 12_500_000,
            "currency": "IDR",
            "status": "captured",
            "refunded_minor": 0,
            "charged_back_minor": 0,
            "times_charged": 1,
        }
    ]


@pytest.mark.parametrize("bank", ["bca", "bni", "bri", "mandiri", "permata", "cimb", "bsi"])
def test_virtual_account_waits_with_its_bank_and_number(shop: Shop, bank: Bank) -> None:
    waiting = shop.create(a_charge("virtual_account"), Means(bank=bank))
    assert isinstance(waiting, Waiting)
    assert (waiting.instructions.type, waiting.instructions.bank) == ("virtual_account", bank)
    assert waiting.instructions.account_number is not None
    assert waiting.instructions.expires_at == "2026-11-21T08:45:00.000Z"


def test_ewallet_sends_the_customer_to_its_page(shop: Shop) -> None:
    waiting = shop.create(a_charge("ewallet"))
    assert waiting.instructions.type == "redirect"
    assert waiting.instructions.redirect_url.startswith("https://")


def test_saved_card_is_captured_once_however_often_it_is_asked_for(shop: Shop) -> None:
    captured = shop.create(a_charge("card"), CARD)
    assert isinstance(captured, Captured)
    assert shop.create(a_charge("card"), CARD) == captured
    assert [row["times_charged"] for row in shop.book()] == [1]


def test_card_that_its_bank_wants_to_see_waits_for_a_redirect(shop: Shop) -> None:
    waiting = shop.create(a_charge("card"), Means(token="pt-3ds"))
    assert waiting.instructions.type == "redirect"


@pytest.mark.parametrize(
    ("token", "code"), [("pt-declined", "card_declined"), ("pt-expired", "invalid_token"), ("tok_ok", "invalid_token")]
)
def test_refused_card_is_declined(shop: Shop, token: str, code: str) -> None:
    declined = shop.create(a_charge("card"), Means(token=token))
    assert isinstance(declined, Declined)
    assert declined.failure.code == code


def test_payment_that_fails_is_declined(shop: Shop) -> None:
    shop.create(a_charge("ewallet"))
    shop.control("fail", reference="pay_1")
    declined = shop.look_up(a_charge("ewallet"))
    assert isinstance(declined, Declined)
    assert declined.failure.code == "user_declined_payment"


def test_declined_create_is_declined(shop: Shop) -> None:
    shop.control("next", fault="decline")
    assert isinstance(shop.create(a_charge()), Declined)
    assert isinstance(shop.create(a_charge()), Declined)
    assert [row["times_charged"] for row in shop.book()] == [0]


@pytest.mark.parametrize(("method", "means"), [("qris", NOTHING), ("virtual_account", BRI), ("card", CARD)])
def test_create_whose_answer_was_lost_is_found_and_not_repeated(shop: Shop, method: Method, means: Means) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        shop.create(a_charge(method), means)
    known = shop.look_up(a_charge(method))
    assert isinstance(known, Waiting | Captured)
    assert shop.create(a_charge(method), means) == known
    assert len(shop.book()) == 1


def test_create_that_broke_before_the_effect_may_be_repeated(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError):
        shop.create(a_charge())
    assert shop.look_up(a_charge()) is None
    assert isinstance(shop.create(a_charge()), Waiting)
    assert len(shop.book()) == 1


def test_virtual_account_expires_by_itself_and_a_qris_code_does_not(shop: Shop) -> None:
    shop.create(a_charge("virtual_account"), BRI)
    shop.create(a_charge("qris", reference="pay_2"))
    shop.now += timedelta(minutes=15)
    assert shop.look_up(a_charge("virtual_account")) == Expired()
    assert isinstance(shop.look_up(a_charge("qris", reference="pay_2")), Waiting)
    assert shop.cancel(a_charge("qris", reference="pay_2")) == Voided()


def test_cancelled_charge_is_void_and_stays_so(shop: Shop) -> None:
    assert shop.cancel(a_charge()) is None
    shop.create(a_charge())
    assert shop.cancel(a_charge()) == Voided()
    assert shop.cancel(a_charge()) == Voided()
    assert shop.create(a_charge()) == Voided()
    assert [row["status"] for row in shop.book()] == ["cancelled"]


def test_cancelling_what_was_paid_tells_that_it_was_paid(shop: Shop) -> None:
    waiting = shop.create(a_charge())
    shop.control("pay", reference="pay_1")
    assert shop.cancel(a_charge()) == Captured(waiting.provider_reference)


def test_charge_that_is_paid_while_it_is_cancelled_is_captured(shop: Shop) -> None:
    class PaidMeanwhile(HttpxHttp):
        async def send(
            self,
            method: str,
            url: str,
            *,
            headers: Mapping[str, str],
            body: str | None = None,
            timeout_seconds: float = 10,
        ) -> HttpAnswer:
            if url.endswith("/cancel"):
                shop.control("pay", reference="pay_1")
            return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)

    waiting = shop.create(a_charge())
    cancelling = XenditProvider(PaidMeanwhile(), shop.settings)
    assert run(cancelling.cancel(a_charge())) == Captured(waiting.provider_reference)


def test_whole_and_partial_refunds_are_given_back_once_for_each_key(shop: Shop) -> None:
    shop.create(a_charge("card"), CARD)
    charge = a_charge("card")
    first = shop.refund(charge, "refund-1", 2_500_000)
    assert isinstance(first, RefundDone)
    assert shop.refund(charge, "refund-1", 2_500_000) == first
    assert shop.refund(charge, "refund-1", 2_500_000, first.provider_reference) == first
    assert isinstance(shop.refund(charge, "refund-2", 2_500_000), RefundDone)
    assert shop.book()[0]["refunded_minor"] == 5_000_000
    assert isinstance(shop.refund(charge, "refund-3", 7_500_000), RefundDone)
    assert shop.book()[0]["refunded_minor"] == 12_500_000
    assert isinstance(shop.refund(charge, "refund-4", 100), RefundImpossible)


def test_refund_whose_answer_was_lost_is_found_and_not_repeated(shop: Shop) -> None:
    shop.create(a_charge("card"), CARD)
    shop.control("next", fault="timeout_after_effect", kind="refund")
    with pytest.raises(ProviderError):
        shop.refund(a_charge("card"), "refund-1", 2_500_000)
    assert isinstance(shop.refund(a_charge("card"), "refund-1", 2_500_000), RefundDone)
    assert shop.book()[0]["refunded_minor"] == 2_500_000


def test_qris_refund_is_pending_until_its_webhook(shop: Shop) -> None:
    shop.create(a_charge())
    shop.control("pay", reference="pay_1", webhook="never")
    pending = shop.refund(a_charge(), "refund-1", 2_500_000)
    assert isinstance(pending, RefundPending)
    notice = shop.notice(shop.inbox.wait_for(1)[0])
    assert (notice.reference, notice.refund_reference) == ("pay_1", "refund-1")
    shop.http.sent.clear()
    assert shop.refund(a_charge(), "refund-1", 2_500_000, pending.provider_reference) == RefundDone(
        pending.provider_reference
    )
    assert shop.http.sent == [("GET", f"{shop.running.url('xendit')}/v3/refunds/{pending.provider_reference}")]


def test_refund_event_within_an_event_is_read_as_documented(shop: Shop) -> None:
    refund = {"id": "rfd-1", "payment_id": "py-1", "reference_id": "refund-1", "status": "SUCCEEDED", "metadata": None}
    event = {"event": "refund.succeeded", "data": {"event": "refund.succeeded", "data": refund}}
    notice = shop.notice(Webhook("xendit", {"x-callback-token": CALLBACK_TOKEN}, json.dumps(event)))
    assert notice == Notice("refund.succeeded:rfd-1:SUCCEEDED", refund_reference="refund-1")


def test_refund_that_xendit_fails_is_impossible(shop: Shop) -> None:
    shop.create(a_charge("card"), CARD)
    shop.control("next", fault="decline", kind="refund")
    assert isinstance(shop.refund(a_charge("card"), "refund-1", 2_500_000), RefundImpossible)
    assert shop.book()[0]["refunded_minor"] == 0


def test_virtual_account_cannot_be_refunded_and_xendit_is_not_asked(shop: Shop) -> None:
    shop.create(a_charge("virtual_account"), BRI)
    shop.control("pay", reference="pay_1")
    asked = len(shop.http.sent)
    assert isinstance(shop.refund(a_charge("virtual_account"), "refund-1", 100), RefundImpossible)
    assert len(shop.http.sent) == asked


@pytest.mark.parametrize(("happening", "event"), [("pay", "payment.capture"), ("expire", "payment_request.expiry")])
def test_webhook_names_the_charge_and_its_duplicate_has_the_same_id(shop: Shop, happening: str, event: str) -> None:
    waiting = shop.create(a_charge())
    assert shop.control(happening, reference="pay_1", webhook="twice")["webhooks"] == [200, 200]
    first, second = (shop.notice(webhook) for webhook in shop.inbox.wait_for(2))
    assert first == second
    assert first.event_id.startswith(f"{event}:py-")
    assert (first.reference, first.provider_reference) == ("pay_1", waiting.provider_reference)


@pytest.mark.parametrize("proof", ["wrong", "missing"])
def test_webhook_without_the_right_token_is_refused(shop: Shop, proof: str) -> None:
    shop.create(a_charge())
    shop.control("pay", reference="pay_1", proof=proof)
    with pytest.raises(WebhookRefused) as refusal:
        shop.notice(shop.inbox.wait_for(1)[0])
    assert CALLBACK_TOKEN not in str(refusal.value)


@pytest.mark.parametrize("body", ["", "[]", "null", '{"event": 1}', '{"event": "payment.capture"}', "[" * 100_000])
def test_webhook_that_is_no_event_is_refused(shop: Shop, body: str) -> None:
    with pytest.raises(WebhookRefused):
        shop.notice(Webhook("xendit", {"x-callback-token": CALLBACK_TOKEN}, body))


def test_webhook_may_come_before_the_answer_to_the_create(shop: Shop) -> None:
    shop.control("next", fault="paid_before_answer")
    waiting = shop.create(a_charge())
    assert isinstance(waiting, Waiting)
    assert shop.notice(shop.inbox.wait_for(1)[0]).reference == "pay_1"
    assert shop.look_up(a_charge()) == Captured(waiting.provider_reference)


@pytest.mark.parametrize(
    ("method", "means", "amount"),
    [
        ("qris", NOTHING, idr(12_345)),
        ("qris", NOTHING, idr(0)),
        ("qris", NOTHING, Money(amount=10_000, currency="USD")),
        ("virtual_account", NOTHING, idr(10_000)),
        ("card", NOTHING, idr(10_000)),
        ("stk_push", NOTHING, idr(10_000)),
    ],
)
def test_what_xendit_cannot_take_is_refused_before_it_is_asked(
    shop: Shop, method: Method, means: Means, amount: Money
) -> None:
    with pytest.raises(Invalid) as refusal:
        shop.create(replace(a_charge(method), amount=amount), means)
    assert refusal.value.code == "payment_details_invalid"
    assert shop.http.sent == []
