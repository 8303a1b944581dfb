"""Two requests for one charge at Stripe or PayPal, one of which overtakes the other between its calls."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from payment.application.ports import HttpAnswer, ProviderError
from payment.domain.charge import Captured, Charge, Declined, Means, Voided, Waiting
from payment.infrastructure.paypal import PayPalProvider, PayPalSettings
from payment.infrastructure.stripe import StripeProvider, StripeSettings
from shared_kernel.contracts.payment import Method
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.server import Running, serving

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
