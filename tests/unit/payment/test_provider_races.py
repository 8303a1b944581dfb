"""Two requests for one charge or refund, one of which overtakes the other between its calls to the provider."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payment.application.ports import HttpAnswer, PaymentProvider, ProviderError
from payment.domain.charge import Captured, Charge, Declined, Means, RefundDone, Voided, Waiting
from payment.infrastructure.midtrans import MidtransProvider, MidtransSettings
from payment.infrastructure.paypal import PayPalProvider, PayPalSettings
from payment.infrastructure.stripe import StripeProvider, StripeSettings
from payment.infrastructure.xendit import XenditProvider
from shared_kernel.contracts.payment import Method
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.midtrans import SERVER_KEY
from tests.providers.server import Running, serving
from tests.unit.payment import midtrans_shop, xendit_shop

START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
VISA = Means(token="pm_card_visa")


class Overtaken(HttpxHttp):
    """Something else happens before the first call with this method and end of the address is sent."""

    def __init__(self, method: str, end: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._place = (method, end)
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        """One request, after what overtakes it."""
        meanwhile, (overtaken_method, end) = self._meanwhile, self._place
        if meanwhile and method == overtaken_method and url.endswith(end):
            self._meanwhile = None
            await meanwhile()
        return await super().send(method, url, headers=headers, body=body, timeout_seconds=timeout_seconds)


@pytest.fixture
def running() -> Iterator[Running]:
    with serving(clock=lambda: START) as running:
        yield running


def stripe(running: Running, http: HttpxHttp | None = None) -> StripeProvider:
    settings = StripeSettings(running.url("stripe"), "sk_test_local", "whsec_local", "https://shop.example")
    return StripeProvider(http or HttpxHttp(), settings, lambda: START)


def paypal(running: Running, http: HttpxHttp | None = None) -> PayPalProvider:
    client, webhook_id = ("paypal-client-local", "paypal-secret-local"), "paypal-webhook-local"
    settings = PayPalSettings(running.url("paypal"), *client, webhook_id, "https://shop.example")
    return PayPalProvider(http or HttpxHttp(), settings, lambda: START)


def charge(method: Method) -> Charge:
    return Charge("key-1", "pay_1", Money(amount=12_50, currency="USD"), method, START + timedelta(minutes=15))


def times_charged(running: Running, provider: str) -> list[int]:
    return [entry.times_charged for entry in running.providers.simulators[provider].entries.values()]


def test_card_that_is_tried_while_the_charge_is_cancelled_is_not_charged(running: Running) -> None:
    http = Overtaken("POST", "/confirm", lambda: stripe(running).cancel(charge("card")))
    assert asyncio.run(stripe(running, http).create(charge("card"), VISA)) == Voided()
    assert times_charged(running, "stripe") == []


def test_charge_that_is_made_while_it_is_cancelled_stays_charged(running: Running) -> None:
    http = Overtaken("POST", "/cancel", lambda: stripe(running).create(charge("card"), VISA))
    assert isinstance(asyncio.run(stripe(running, http).cancel(charge("card"))), Captured)
    assert times_charged(running, "stripe") == [1]


def test_card_that_is_charged_twice_at_once_is_charged_once(running: Running) -> None:
    http = Overtaken("POST", "/confirm", lambda: stripe(running).create(charge("card"), VISA))
    assert isinstance(asyncio.run(stripe(running, http).create(charge("card"), VISA)), Captured)
    assert times_charged(running, "stripe") == [1]


def test_second_card_is_not_tried_after_the_first_was_declined_at_the_same_time(running: Running) -> None:
    declined = Means(token="pm_card_visa_chargeDeclined")
    http = Overtaken("POST", "/confirm", lambda: stripe(running).create(charge("card"), declined))
    with pytest.raises(ProviderError):
        asyncio.run(stripe(running, http).create(charge("card"), VISA))
    assert isinstance(asyncio.run(stripe(running).look_up(charge("card"))), Declined)
    assert times_charged(running, "stripe") == [0]


def approved(running: Running) -> Charge:
    outcome = asyncio.run(paypal(running).create(charge("paypal"), Means()))
    assert isinstance(outcome, Waiting)
    running.control("paypal", "pay", reference="pay_1", webhook="never")
    return replace(charge("paypal"), provider_reference=outcome.provider_reference)


def test_order_that_is_captured_twice_at_once_is_captured_once(running: Running) -> None:
    known = approved(running)
    http = Overtaken("POST", "/capture", lambda: paypal(running).look_up(known))
    assert isinstance(asyncio.run(paypal(running, http).look_up(known)), Captured)
    assert times_charged(running, "paypal") == [1]


def test_order_that_is_captured_while_it_is_cancelled_stays_captured(running: Running) -> None:
    known = approved(running)
    http = Overtaken("PATCH", "", lambda: paypal(running).look_up(known))
    assert isinstance(asyncio.run(paypal(running, http).cancel(known)), Captured)
    assert isinstance(asyncio.run(paypal(running).look_up(known)), Captured)
    assert times_charged(running, "paypal") == [1]


def test_order_that_is_cancelled_while_it_is_captured_shows_the_capture_at_the_next_look(running: Running) -> None:
    known = approved(running)
    http = Overtaken("POST", "/capture", lambda: paypal(running).cancel(known))
    assert isinstance(asyncio.run(paypal(running, http).look_up(known)), Captured)
    assert isinstance(asyncio.run(paypal(running).look_up(known)), Captured)


At = Callable[[HttpxHttp], PaymentProvider]


def _paid_at(running: Running, provider: str) -> tuple[str, At, Charge]:
    """The end of the address that makes a refund, the provider through some HTTP, and a charge that was paid there."""
    if provider == "stripe":
        captured = asyncio.run(stripe(running).create(charge("card"), VISA))
        assert isinstance(captured, Captured)
        known = replace(charge("card"), provider_reference=captured.provider_reference)
        return "/refunds", lambda http: stripe(running, http), known
    if provider == "paypal":
        paid = asyncio.run(paypal(running).look_up(approved(running)))
        assert isinstance(paid, Captured)
        known = replace(charge("paypal"), provider_reference=paid.provider_reference)
        return "/refund", lambda http: paypal(running, http), known
    if provider == "xendit":
        there = xendit_shop.settings_at(running.url("xendit"))
        known = xendit_shop.a_charge("card")
        asyncio.run(XenditProvider(HttpxHttp(), there).create(known, xendit_shop.CARD))
        return "/v3/refunds", lambda http: XenditProvider(http, there), known
    midtrans = MidtransSettings(running.url("midtrans"), SERVER_KEY)
    known = midtrans_shop.a_charge("qris")
    asyncio.run(MidtransProvider(HttpxHttp(), midtrans, lambda: START).create(known, Means()))
    running.control("midtrans", "pay", reference="pay_1", webhook="never")
    return "/refund", lambda http: MidtransProvider(http, midtrans, lambda: START), known


@pytest.mark.parametrize(
    ("provider", "share"),
    # Of a part at Xendit only the claim on the refund keeps two apart, for nothing that Xendit says does.
    [("stripe", 1), ("stripe", 5), ("paypal", 1), ("paypal", 5), ("midtrans", 1), ("midtrans", 5), ("xendit", 1)],
)
def test_refund_that_is_asked_for_twice_at_once_is_made_once_and_not_refused(
    running: Running, provider: str, share: int
) -> None:
    end, at, known = _paid_at(running, provider)
    part = Money(amount=known.amount.amount // share // 100 * 100 or 100, currency=known.amount.currency)
    http = Overtaken("POST", end, lambda: at(HttpxHttp()).refund(known, "rfd_1", part, None))
    outcome = asyncio.run(at(http).refund(known, "rfd_1", part, None))
    assert isinstance(outcome, RefundDone)
    (entry,) = running.providers.simulators[provider].entries.values()
    assert [refund.provider_reference for refund in entry.refunds] == [outcome.provider_reference]
    assert len([sent for sent in http.sent if sent[0] == "POST" and sent[1].endswith(end)]) == 1


@pytest.mark.parametrize("provider", ["stripe", "paypal", "midtrans", "xendit"])
def test_refund_is_found_by_its_key_and_none_is_made_by_looking(running: Running, provider: str) -> None:
    end, at, known = _paid_at(running, provider)
    looking = HttpxHttp()
    assert asyncio.run(at(looking).find_refund(known, "rfd_1", known.amount)) is None
    made = asyncio.run(at(HttpxHttp()).refund(known, "rfd_1", known.amount, None))
    assert isinstance(made, RefundDone)
    assert asyncio.run(at(looking).find_refund(known, "rfd_1", known.amount)) == made
    assert asyncio.run(at(looking).find_refund(known, "rfd_2", known.amount)) is None
    assert [sent for sent in looking.sent if sent[0] == "POST" and sent[1].endswith(end)] == []
