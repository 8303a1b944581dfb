"""The Midtrans adapter against the simulator of its Core API."""

import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from payment.application.ports import HttpAnswer, ProviderError, Webhook, WebhookRefused
from payment.domain.charge import (
    Authorised,
    Captured,
    Declined,
    Expired,
    Means,
    RefundDone,
    RefundImpossible,
    Voided,
    Waiting,
)
from payment.infrastructure.midtrans import MidtransSettings, settings_from, whole_rupiah
from shared_kernel.contracts.payment import Bank, Instructions, Method
from shared_kernel.errors import DomainError, Invalid
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.unit.payment.midtrans_shop import CARD, NOTHING, START, Shop, a_charge, idr, opened, run


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_qris_waits_with_its_code_and_is_captured_when_paid(shop: Shop) -> None:
    charge = a_charge()
    assert run(shop.provider().look_up(charge)) is None
    waiting = shop.waiting(charge)
    assert waiting.instructions.type == "qr_code"
    assert waiting.instructions.qr_string
    assert waiting.instructions.expires_at == "2026-11-21T09:30:00.000Z"
    shop.control("pay", reference="pay_1")
    assert run(shop.provider().look_up(charge)) == Captured(waiting.provider_reference)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


@pytest.mark.parametrize("bank", ["bca", "bni", "bri", "cimb", "permata", "mandiri"])
def test_virtual_account_tells_its_bank_and_number_then_and_later(shop: Shop, bank: Bank) -> None:
    charge = a_charge("virtual_account")
    waiting = shop.waiting(charge, Means(bank=bank))
    assert waiting.instructions.bank == bank
    assert waiting.instructions.account_number
    assert run(shop.provider().look_up(charge)) == waiting


def test_gopay_leads_to_its_app_and_later_to_its_code(shop: Shop) -> None:
    charge = a_charge("ewallet")
    assert shop.waiting(charge).instructions.type == "redirect"
    later = run(shop.provider().look_up(charge))
    assert isinstance(later, Waiting)
    assert later.instructions.type == "qr_code"
    assert str(later.instructions.redirect_url).endswith("/qr-code")


def test_card_waits_for_its_holder_and_is_captured(shop: Shop) -> None:
    charge = a_charge("card")
    waiting = shop.waiting(charge, CARD)
    assert waiting.instructions == Instructions(
        type="redirect",
        redirect_url=waiting.instructions.redirect_url,
        expires_at="2026-11-21T09:30:00.000Z",
    )
    shop.control("pay", reference="pay_1")
    assert run(shop.provider().look_up(charge)) == Captured(waiting.provider_reference)


def test_card_that_somebody_has_to_look_at_is_only_authorised(shop: Shop) -> None:
    charge = shop.paid("card", CARD)
    (entry,) = shop.running.providers.simulators["midtrans"].entries.values()
    entry.details["fraud_status"] = "challenge"
    assert run(shop.provider().look_up(charge)) == Authorised(entry.provider_reference)


def test_chargeback_is_a_dispute_of_a_captured_charge(shop: Shop) -> None:
    charge = shop.paid()
    (entry,) = shop.running.providers.simulators["midtrans"].entries.values()
    entry.details["transaction_status"] = "chargeback"
    shop.control("webhook", reference="pay_1")
    assert run(shop.provider().read_webhook(shop.inbox.wait_for(2)[1])).disputed
    assert isinstance(run(shop.provider().look_up(charge)), Captured)


def test_declined_charge_stays_declined(shop: Shop) -> None:
    shop.control("next", fault="decline")
    outcome = run(shop.provider().create(a_charge("card"), CARD))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "card_declined"
    assert run(shop.provider().look_up(a_charge("card"))) == outcome
    assert run(shop.provider().create(a_charge("card"), CARD)) == outcome


def test_unknown_token_is_declined_without_naming_it(shop: Shop) -> None:
    outcome = run(shop.provider().create(a_charge("card"), Means(token="invalid-481111")))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "invalid_token"
    assert "481111" not in outcome.failure.detail


def test_failed_charge_is_declined(shop: Shop) -> None:
    shop.waiting(a_charge())
    shop.control("fail", reference="pay_1")
    assert isinstance(run(shop.provider().look_up(a_charge())), Declined)


def test_charge_whose_answer_was_lost_is_found_and_not_made_again(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        run(shop.provider().create(a_charge(), NOTHING))
    found = run(shop.provider().look_up(a_charge()))
    assert isinstance(found, Waiting)
    assert str(found.instructions.redirect_url).endswith(f"/v2/qris/{found.provider_reference}/qr-code")
    assert run(shop.provider().create(a_charge(), NOTHING)) == found
    assert len(shop.book()) == 1


def test_server_error_is_no_answer_and_leaves_nothing(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError):
        run(shop.provider().create(a_charge(), NOTHING))
    assert run(shop.provider().look_up(a_charge())) is None
    shop.waiting(a_charge())


def test_charge_made_long_ago_is_not_made_again(shop: Shop) -> None:
    charge = replace(a_charge(), expires_at=START + timedelta(hours=2))
    first = shop.waiting(charge)
    shop.now += timedelta(hours=1)
    assert shop.waiting(charge).provider_reference == first.provider_reference
    shop.control("pay", reference="pay_1")
    assert run(shop.provider().create(charge, NOTHING)) == Captured(first.provider_reference)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


class OvertakenHttp(HttpxHttp):
    """An Http on which somebody else asks for the same charge first, and more than five minutes before."""

    def __init__(self, overtake: Callable[[], Coroutine[object, object, object]]) -> None:
        super().__init__()
        self._overtake = overtake

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if url.endswith("/v2/charge"):
            await self._overtake()
        return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)


def test_duplicate_order_answers_the_charge_that_is_there(shop: Shop) -> None:
    charge = replace(a_charge("virtual_account"), expires_at=START + timedelta(hours=2))

    async def overtake() -> None:
        await shop.provider().create(charge, Means(bank="bca"))
        shop.now += timedelta(minutes=6)

    late = replace(shop, http=OvertakenHttp(overtake))
    assert isinstance(run(late.provider().create(charge, Means(bank="bca"))), Waiting)
    assert [method for method, url in late.http.sent] == ["GET", "POST", "GET"]
    assert shop.book() == [("pay_1", "waiting", 0, 0)]


def test_expired_charge_is_expired_and_its_order_is_not_used_again(shop: Shop) -> None:
    shop.waiting(a_charge())
    shop.now += timedelta(hours=1)
    assert run(shop.provider().look_up(a_charge())) == Expired()
    assert run(shop.provider().create(a_charge(), NOTHING)) == Expired()
    assert len(shop.book()) == 1


def test_charge_that_is_too_late_is_not_asked_for(shop: Shop) -> None:
    shop.now += timedelta(hours=1)
    assert run(shop.provider().create(a_charge(), NOTHING)) == Expired()
    assert shop.book() == []


def test_cancelled_charge_is_voided_and_stays_so(shop: Shop) -> None:
    assert run(shop.provider().cancel(a_charge())) is None
    shop.waiting(a_charge())
    assert run(shop.provider().cancel(a_charge())) == Voided()
    assert run(shop.provider().cancel(a_charge())) == Voided()
    assert run(shop.provider().create(a_charge(), NOTHING)) == Voided()


def test_cancelling_leaves_a_captured_charge_alone(shop: Shop) -> None:
    charge = shop.paid("card", CARD)
    assert isinstance(run(shop.provider().cancel(charge)), Captured)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_parts_and_the_rest_are_refunded_once_for_each_key(shop: Shop) -> None:
    charge = shop.paid()
    first = shop.refund(charge, "ref_1", 5_000)
    assert isinstance(first, RefundDone)
    assert shop.refund(charge, "ref_1", 5_000) == first
    assert shop.refund(charge, "ref_2", 7_500) != first
    assert [url.endswith("/refund") for _, url in shop.http.sent].count(True) == 2
    assert shop.book() == [("pay_1", "captured", 1_250_000, 1)]
    assert isinstance(run(shop.provider().look_up(charge)), Captured)


def test_more_than_was_captured_is_not_refunded(shop: Shop) -> None:
    charge = shop.paid()
    assert isinstance(shop.refund(charge, "ref_1", 12_501), RefundImpossible)
    assert shop.book() == [("pay_1", "captured", 0, 1)]


def test_refund_whose_answer_was_lost_is_made_once(shop: Shop) -> None:
    charge = shop.paid()
    shop.control("next", fault="timeout_after_effect", kind="refund")
    with pytest.raises(ProviderError):
        shop.refund(charge, "ref_1", 5_000)
    shop.now += timedelta(minutes=6)
    assert isinstance(shop.refund(charge, "ref_1", 5_000), RefundDone)
    assert shop.book() == [("pay_1", "captured", 500_000, 1)]


def test_refund_that_broke_down_can_be_asked_for_again(shop: Shop) -> None:
    charge = shop.paid()
    shop.control("next", fault="error_500", kind="refund")
    with pytest.raises(ProviderError):
        shop.refund(charge, "ref_1", 5_000)
    assert isinstance(shop.refund(charge, "ref_1", 5_000), RefundDone)


def test_refund_for_which_the_balance_is_too_small_is_tried_again(shop: Shop) -> None:
    charge = shop.paid()
    shop.control("next", fault="decline", kind="refund")
    with pytest.raises(ProviderError, match="414"):
        shop.refund(charge, "ref_1", 5_000)
    assert isinstance(shop.refund(charge, "ref_1", 5_000), RefundDone)


class Refusing(HttpxHttp):
    """Midtrans itself but for refunds, which it answers with this code."""

    code = ""

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if url.endswith("/refund"):
            return HttpAnswer(200, {}, json.dumps({"status_code": self.code, "status_message": "no"}))
        return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("code", [*range(400, 420), 429, 500, 503])
def test_only_the_listed_codes_make_a_refund_impossible(shop: Shop, code: int) -> None:
    charge = shop.paid()
    shop.http = Refusing()
    shop.http.code = str(code)
    if code in (400, 402, 408, 412, 413):
        refused = shop.refund(charge, "ref_1", 5_000)
        assert isinstance(refused, RefundImpossible)
        assert str(code) in refused.reason
    else:
        with pytest.raises(ProviderError):
            shop.refund(charge, "ref_1", 5_000)


def test_bank_transfer_and_fractions_are_not_refunded(shop: Shop) -> None:
    charge = shop.paid("virtual_account", Means(bank="bri"))
    assert isinstance(shop.refund(charge, "ref_1", 5_000), RefundImpossible)
    outcome = run(shop.provider().refund(a_charge(), "ref_1", idr(150), None))
    assert isinstance(outcome, RefundImpossible)


def test_unsettled_card_is_cancelled_as_a_whole_and_waits_with_a_part(shop: Shop) -> None:
    charge = shop.paid("card", CARD)
    with pytest.raises(ProviderError):
        shop.refund(charge, "ref_1", 5_000)
    whole = shop.refund(charge, "ref_1", 12_500)
    assert isinstance(whole, RefundDone)
    assert shop.refund(charge, "ref_1", 12_500) == whole
    assert shop.book() == [("pay_1", "cancelled", 1_250_000, 1)]


def test_settled_card_is_refunded_in_part(shop: Shop) -> None:
    charge = shop.paid("card", CARD)
    shop.control("pay", reference="pay_1", anyway=True)
    assert isinstance(shop.refund(charge, "key with spaces", 5_000), RefundDone)
    assert isinstance(shop.refund(charge, "key with spaces", 5_000), RefundDone)
    assert shop.book() == [("pay_1", "captured", 500_000, 1)]


def test_webhook_tells_of_the_charge_and_twice_is_the_same_event(shop: Shop) -> None:
    waiting = shop.waiting(a_charge())
    shop.control("pay", reference="pay_1", webhook="twice")
    first, second = [run(shop.provider().read_webhook(each)) for each in shop.inbox.wait_for(2)]
    assert (first.reference, first.provider_reference) == ("pay_1", waiting.provider_reference)
    assert first == second
    assert not first.disputed


@pytest.mark.parametrize("proof", ["wrong", "missing"])
def test_webhook_without_its_signature_is_refused(shop: Shop, proof: str) -> None:
    shop.waiting(a_charge())
    shop.control("pay", reference="pay_1", proof=proof)
    with pytest.raises(WebhookRefused):
        run(shop.provider().read_webhook(shop.inbox.wait_for(1)[0]))


@pytest.mark.parametrize(
    "change", [{"gross_amount": "12500"}, {"order_id": "pay_2"}, {"status_code": "201"}, {"signature_key": "é"}]
)
def test_webhook_with_other_words_than_were_signed_is_refused(shop: Shop, change: dict[str, JsonValue]) -> None:
    shop.waiting(a_charge())
    shop.control("pay", reference="pay_1")
    webhook = shop.inbox.wait_for(1)[0]
    forged = json.dumps(json.loads(webhook.body) | change)
    with pytest.raises(WebhookRefused):
        run(shop.provider().read_webhook(replace(webhook, body=forged)))


@pytest.mark.parametrize("body", ["", "[]", "not json", '{"order_id": 1}'])
def test_webhook_that_is_no_notification_is_refused(shop: Shop, body: str) -> None:
    with pytest.raises(WebhookRefused):
        run(shop.provider().read_webhook(Webhook("midtrans", {}, body)))


@pytest.mark.parametrize(
    ("method", "means"),
    [("card", NOTHING), ("virtual_account", NOTHING), ("virtual_account", Means(bank="bsi")), ("paypal", NOTHING)],
)
def test_missing_details_are_refused_before_anything_is_asked(shop: Shop, method: Method, means: Means) -> None:
    with pytest.raises(Invalid) as refusal:
        run(shop.provider().create(a_charge(method), means))
    assert refusal.value.code == "payment_details_invalid"
    assert shop.http.sent == []


def test_secrets_are_in_no_error_and_no_setting_that_is_shown(shop: Shop) -> None:
    with pytest.raises(DomainError) as refusal:
        run(shop.provider("SB-Mid-server-wrong").create(a_charge("card"), CARD))
    assert isinstance(refusal.value, ProviderError)
    shown = f"{refusal.value.message}{refusal.value.details}{MidtransSettings('', 'SB-Mid-server-wrong')}"
    assert "wrong" not in shown
    assert str(CARD.token) not in shown


def test_charge_of_another_amount_is_not_taken_for_ours(shop: Shop) -> None:
    shop.waiting(a_charge())
    with pytest.raises(ProviderError):
        run(shop.provider().look_up(replace(a_charge(), amount=idr(1_250_100))))


def test_settings_need_the_server_key() -> None:
    given = {"MIDTRANS_SERVER_KEY": "k", "PUBLIC_URL": "https://shop.example"}
    settings = settings_from(given.get)
    assert settings == MidtransSettings("https://api.midtrans.com", "k", "https://shop.example")
    assert settings_from({"MIDTRANS_URL": "http://127.0.0.1"}.get) is None


@given(st.integers(min_value=1, max_value=10**12))
def test_whole_rupiah_are_exact_both_ways(rupiah: int) -> None:
    assert whole_rupiah(idr(rupiah * 100)) == rupiah


@given(st.integers(min_value=1, max_value=10**9).filter(lambda amount: amount % 100 != 0))
def test_fractions_of_a_rupiah_are_refused(amount_minor: int) -> None:
    with pytest.raises(Invalid) as refusal:
        whole_rupiah(idr(amount_minor))
    assert refusal.value.code == "payment_details_invalid"


def test_other_currencies_are_refused() -> None:
    with pytest.raises(Invalid):
        whole_rupiah(Money(amount=10_000, currency="KES"))
