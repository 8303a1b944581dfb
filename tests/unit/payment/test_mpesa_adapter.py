"""The M-Pesa adapter against the simulator of Daraja."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.application.ports import Http, HttpAnswer, Notice, ProviderError
from payment.domain.charge import (
    Captured,
    Declined,
    Expired,
    Means,
    RefundDone,
    RefundImpossible,
    RefundPending,
    Waiting,
)
from payment.infrastructure.mpesa import (
    SECONDS_BETWEEN_QUERIES,
    SILENCE,
    MpesaProvider,
    settings_from,
    whole_shillings,
)
from payment.infrastructure.mpesa_callbacks import About, Callbacks
from shared_kernel.errors import Invalid
from shared_kernel.money import Money
from tests.providers.mpesa import MpesaSimulator
from tests.unit.payment.mpesa_shop import CHARGE, PHONE, REFERENCE, Shop, kes, opened, run


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_prompt_waits_and_is_captured_when_paid(shop: Shop) -> None:
    charge = shop.pushed()
    waiting = shop.look_up(charge)
    assert isinstance(waiting, Waiting)
    assert waiting.instructions.type == "stk_push"
    shop.control("pay", reference=REFERENCE)
    assert shop.look_up(charge) == Captured(str(charge.provider_reference))
    assert shop.book() == [("captured", 0, 1)]


@pytest.mark.parametrize(
    ("code", "failure"),
    [("1", "insufficient_funds"), ("1032", "cancelled_by_customer"), ("2001", "wrong_pin"), ("1001", "customer_busy")],
)
def test_failed_payment_is_declined_with_its_cause(shop: Shop, code: str, failure: str) -> None:
    charge = shop.pushed()
    for entry in shop.running.providers.simulators["mpesa"].entries.values():
        entry.details["result_code"] = code
    shop.control("fail", reference=REFERENCE)
    outcome = shop.look_up(charge)
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == failure


def test_declined_payment_is_told_by_callback_and_found(shop: Shop) -> None:
    shop.control("next", fault="decline")
    charge = shop.pushed()
    assert shop.notice(1) == Notice(shop.notice(1).event_id, REFERENCE, charge.provider_reference)
    assert isinstance(shop.look_up(charge), Declined)


def test_result_that_nobody_knows_is_a_decline_only_when_the_time_is_over(shop: Shop) -> None:
    charge = shop.pushed()
    for entry in shop.running.providers.simulators["mpesa"].entries.values():
        entry.details["result_code"] = "7777"
    shop.control("fail", reference=REFERENCE)
    with pytest.raises(ProviderError):
        shop.look_up(charge)
    shop.now = CHARGE.expires_at + SILENCE
    assert isinstance(shop.look_up(charge), Declined)


class Interrupted:
    """Daraja, but for the next call whose address ends so: its gateway refuses that."""

    def __init__(self, http: Http, path: str, refusal: Mapping[str, object]) -> None:
        self._http = http
        self._path: str | None = path
        self._refusal = json.dumps(refusal)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if self._path is not None and url.endswith(self._path):
            self._path = None
            return HttpAnswer(500, {}, self._refusal)
        return await self._http.send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)

    def of(self, shop: Shop) -> MpesaProvider:
        return MpesaProvider(self, shop.settings(), lambda: shop.now)


@pytest.mark.parametrize(
    "refusal",
    [
        {"errorCode": "500.003.02", "errorMessage": "Spike arrest violation"},
        {"errorCode": "500.003.03", "errorMessage": "Quota violation"},
        {"errorCode": "500.003.1001", "errorMessage": "Internal Server Error"},
        {"fault": {"faultstring": "Rate limit quota violation"}},
        {},
    ],
)
def test_query_that_did_not_reach_m_pesa_ends_no_payment_however_late(
    shop: Shop, refusal: Mapping[str, object]
) -> None:
    charge = shop.pushed()
    shop.control("pay", reference=REFERENCE, webhook="never")
    shop.now = CHARGE.expires_at + SILENCE
    provider = Interrupted(shop.http, "/stkpushquery/v1/query", refusal).of(shop)
    with pytest.raises(ProviderError):
        run(provider.look_up(charge))
    assert run(provider.look_up(charge)) == Captured(str(charge.provider_reference))


def test_payment_whose_receipt_is_known_is_not_ended_by_a_code_that_is_not(shop: Shop) -> None:
    charge = shop.paid()
    shop.now = CHARGE.expires_at + SILENCE
    provider = Interrupted(shop.http, "/stkpushquery/v1/query", {"ResponseCode": "0", "ResultCode": "7777"}).of(shop)
    with pytest.raises(ProviderError):
        run(provider.look_up(charge))
    assert run(provider.look_up(charge)) == Captured(str(charge.provider_reference))


def test_prompt_that_m_pesa_does_not_know_any_more_has_expired_unless_its_receipt_is_known(shop: Shop) -> None:
    unknown = {"errorCode": "500.001.1001", "errorMessage": "The transaction does not exist"}
    pushed = shop.pushed()
    shop.control("pay", reference=REFERENCE)
    paid = replace(pushed, provider_reference=shop.notice(1).provider_reference)
    shop.now = CHARGE.expires_at + SILENCE
    answers = {Expired(): pushed, Captured(str(paid.provider_reference)): paid}
    for answer, charge in answers.items():
        assert run(Interrupted(shop.http, "/stkpushquery/v1/query", unknown).of(shop).look_up(charge)) == answer


@pytest.mark.parametrize("code", ["404.001.03", "401.002.01", "400.003.01"])
@pytest.mark.parametrize("path", ["/stkpushquery/v1/query", "/reversal/v1/request"])
def test_token_is_renewed_whatever_the_code_that_refuses_it(shop: Shop, path: str, code: str) -> None:
    charge = shop.paid()
    refusal = {"errorCode": code, "errorMessage": "Invalid Access Token"}
    provider = Interrupted(shop.http, path, refusal).of(shop)
    assert isinstance(run(provider.look_up(charge)), Captured)
    assert isinstance(run(provider.refund(charge, "rfd_1", charge.amount, None)), RefundPending)
    assert shop.asked("/reversal/v1/request") == 1


def test_prompt_that_nobody_answers_expires(shop: Shop) -> None:
    charge = shop.pushed()
    shop.now += timedelta(minutes=3)
    assert shop.look_up(charge) == Expired()
    assert run(shop.provider().cancel(charge)) == Expired()


def test_lost_answer_is_unknown_until_the_callback_tells(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        shop.create()
    with pytest.raises(ProviderError):
        shop.look_up(CHARGE)
    with pytest.raises(ProviderError):
        run(shop.provider().cancel(CHARGE))
    shop.control("pay", reference=REFERENCE)
    notice = shop.notice(1)
    assert notice.reference == REFERENCE
    learnt = replace(CHARGE, provider_reference=notice.provider_reference)
    assert shop.look_up(learnt) == Captured(str(notice.provider_reference))
    assert run(shop.provider().create(learnt, PHONE)) == Captured(str(notice.provider_reference))
    assert shop.asked("/processrequest") == 1
    assert shop.book() == [("captured", 0, 1)]


def test_lost_answer_without_a_callback_expires_and_a_late_callback_still_tells(shop: Shop) -> None:
    shop.control("next", fault="timeout_after_effect")
    with pytest.raises(ProviderError):
        shop.create()
    shop.control("pay", reference=REFERENCE, webhook="never")
    shop.now = CHARGE.expires_at + SILENCE - timedelta(seconds=1)
    with pytest.raises(ProviderError):
        shop.look_up(CHARGE)
    shop.now += timedelta(seconds=1)
    assert shop.look_up(CHARGE) == Expired()
    assert shop.create() == Expired()
    shop.control("webhook", reference=REFERENCE)
    learnt = replace(CHARGE, provider_reference=shop.notice(1).provider_reference)
    assert isinstance(shop.look_up(learnt), Captured)


def test_server_error_is_unknown_and_is_not_asked_again(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError):
        shop.create()
    with pytest.raises(ProviderError):
        shop.look_up(CHARGE)
    assert shop.asked("/processrequest") == 1


def test_unreachable_provider_was_not_asked_and_declines(shop: Shop) -> None:
    nowhere = replace(shop.settings(), base_url="http://127.0.0.1:9")
    outcome = run(shop.provider(nowhere).create(CHARGE, PHONE))
    assert isinstance(outcome, Declined)
    assert outcome.failure.code == "provider_unavailable"
    assert shop.asked("/processrequest") == 0


def test_token_is_kept_and_renewed_when_it_is_refused(shop: Shop) -> None:
    async def story() -> None:
        provider = shop.provider()
        made = await provider.create(CHARGE, PHONE)
        assert isinstance(made, Waiting)
        charge = replace(CHARGE, provider_reference=made.provider_reference)
        await provider.look_up(charge)
        assert shop.asked("client_credentials") == 1
        simulator = shop.running.providers.simulators["mpesa"]
        assert isinstance(simulator, MpesaSimulator)
        simulator.tokens.clear()
        assert isinstance(await provider.look_up(charge), Waiting)
        assert shop.asked("client_credentials") == 2

    run(story())


@pytest.mark.parametrize("means", [Means(), Means(phone="+15551234567"), Means(phone="254708374149")])
def test_missing_phone_is_refused_before_anything_is_asked(shop: Shop, means: Means) -> None:
    with pytest.raises(Invalid) as refusal:
        shop.create(means)
    assert refusal.value.code == "payment_details_invalid"
    assert shop.http.sent == []


def test_whole_payment_is_reversed_and_told_by_callback(shop: Shop) -> None:
    charge = shop.paid()
    pending = shop.refund(charge)
    assert isinstance(pending, RefundPending)
    notice = shop.notice(2)
    assert notice.refund_key == "rfd_1"
    done = shop.refund(charge, notice.refund_reference)
    assert isinstance(done, RefundDone)
    assert shop.refund(charge, done.provider_reference) == done
    assert shop.book() == [("captured", 120_000, 1)]


def test_reversal_whose_result_was_lost_is_asked_about(shop: Shop) -> None:
    charge = shop.paid()
    pending = shop.refund(charge)
    assert isinstance(pending, RefundPending)
    shop.inbox.wait_for(2)
    assert shop.refund(charge, pending.provider_reference) == pending
    assert shop.asked("/transactionstatus/v1/query") == 0
    shop.now += timedelta(seconds=SECONDS_BETWEEN_QUERIES)
    again = shop.refund(charge, pending.provider_reference)
    assert isinstance(again, RefundPending)
    assert shop.refund(charge, again.provider_reference) == again
    assert shop.asked("/transactionstatus/v1/query") == 1
    assert isinstance(shop.refund(charge, shop.notice(3).refund_reference), RefundDone)
    assert shop.asked("/reversal/v1/request") == 1


def test_reversal_whose_answer_was_lost_happens_once(shop: Shop) -> None:
    charge = shop.paid()
    shop.control("next", fault="timeout_after_effect", kind="refund")
    with pytest.raises(ProviderError):
        shop.refund(charge)
    assert isinstance(shop.refund(charge, shop.notice(2).refund_reference), RefundDone)
    assert isinstance(shop.refund(charge), RefundPending)
    assert isinstance(shop.refund(charge, shop.notice(3).refund_reference), RefundDone)
    assert shop.book() == [("captured", 120_000, 1)]


def test_refused_reversal_is_left_to_somebody(shop: Shop) -> None:
    charge = shop.paid()
    shop.control("next", fault="decline", kind="refund")
    shop.refund(charge)
    assert isinstance(shop.refund(charge, shop.notice(2).refund_reference), RefundImpossible)
    assert shop.book() == [("captured", 0, 1)]


def test_reversal_that_got_no_turn_is_asked_about_again(shop: Shop) -> None:
    charge = shop.paid()
    shop.refund(charge)
    settings = shop.settings()
    callbacks = Callbacks(settings.public_url, settings.callback_secret, ())
    _, _, path_secret = callbacks.address(About("queue", REFERENCE, "rfd_1")).rpartition("/")
    notice = callbacks.read(replace(shop.inbox.wait_for(2)[1], path_secret=path_secret))
    assert (notice.reference, notice.refund_key, notice.refund_reference) == (REFERENCE, "rfd_1", None)


def test_part_is_not_refunded(shop: Shop) -> None:
    charge = shop.paid()
    assert isinstance(shop.refund(charge, amount=kes(100)), RefundImpossible)
    assert shop.asked("/reversal/v1/request") == 0


def test_refund_without_a_receipt_waits_for_it_and_then_is_left_to_somebody(shop: Shop) -> None:
    charge = shop.pushed()
    shop.control("pay", reference=REFERENCE, webhook="never")
    with pytest.raises(ProviderError):
        shop.refund(charge)
    shop.now = CHARGE.expires_at + SILENCE
    assert isinstance(shop.refund(charge), RefundImpossible)


def test_refund_without_an_initiator_is_left_to_somebody(shop: Shop) -> None:
    charge = shop.paid()
    provider = shop.provider(replace(shop.settings(), initiator=None))
    assert isinstance(run(provider.refund(charge, "rfd_1", charge.amount, None)), RefundImpossible)


def test_secrets_and_phone_are_in_no_error_and_no_setting_that_is_shown(shop: Shop) -> None:
    shop.control("next", fault="error_500")
    with pytest.raises(ProviderError) as refusal:
        shop.create()
    shown = f"{refusal.value.message}{refusal.value.details}{shop.settings()}"
    hidden = [value for name, value in MpesaSimulator.settings.items() if name[6:] not in {"SHORTCODE", "INITIATOR"}]
    assert [value for value in [*hidden, "708374149"] if value in shown] == []


def test_settings_need_every_secret_of_payments_and_our_address() -> None:
    complete = {**MpesaSimulator.settings, "PUBLIC_URL": "https://shop.example"}
    optional = {"MPESA_INITIATOR", "MPESA_SECURITY_CREDENTIAL"}
    for missing in complete:
        given = {name: value for name, value in complete.items() if name != missing}
        assert (settings_from(given.get) is None) == (missing not in optional)
    listed = settings_from((complete | {"MPESA_CALLBACK_ADDRESSES": "196.201.214.200, 10.0.0.0/8"}).get)
    assert listed is not None
    assert listed.callback_addresses == ("196.201.214.200", "10.0.0.0/8")


@given(st.integers(min_value=1, max_value=10**12))
def test_whole_shillings_are_exact(shillings: int) -> None:
    assert whole_shillings(kes(shillings * 100)) == shillings


@given(st.integers(min_value=1, max_value=10**9).filter(lambda amount: amount % 100 != 0))
def test_fractions_of_a_shilling_are_refused(amount_minor: int) -> None:
    with pytest.raises(Invalid) as refusal:
        whole_shillings(kes(amount_minor))
    assert refusal.value.code == "payment_details_invalid"


def test_other_currencies_are_refused_before_anything_is_asked(shop: Shop) -> None:
    with pytest.raises(Invalid):
        run(shop.provider().create(replace(CHARGE, amount=Money(amount=10_000, currency="IDR")), PHONE))
    assert shop.http.sent == []
