"""A shop that takes money through Xendit: the adapter and the simulator of Xendit's documented API."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from payment.application.ports import Notice, Webhook
from payment.domain.charge import (
    Charge,
    Means,
)
from payment.infrastructure.xendit import XenditProvider, XenditSettings
from shared_kernel.contracts.payment import Method
from shared_kernel.money import Money
from tests.providers.http import HttpxHttp
from tests.providers.inbox import Inbox, taking_in
from tests.providers.server import Running, serving
from tests.providers.xendit import CALLBACK_TOKEN, SECRET_KEY

_Answer = TypeVar("_Answer")
START = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
NOTHING = Means()
BRI = Means(bank="bri")
CARD = Means(token="pt-card")


class Shop:
    """The adapter, the simulator and the simulator's webhooks, at a time that the test sets."""

    def __init__(self, running: Running, inbox: Inbox) -> None:
        self.running = running
        self.inbox = inbox
        self.now = START
        self.http = HttpxHttp()
        self.settings = settings_at(running.url("xendit"))
        self.provider = XenditProvider(self.http, self.settings)

    def control(self, command: str, **options: Any) -> Any:
        return self.running.control("xendit", command, **options)

    def book(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.control("book")["items"]
        return items

    def create(self, charge: Charge, means: Means = NOTHING) -> Any:
        return run(self.provider.create(charge, means))

    def look_up(self, charge: Charge) -> Any:
        return run(self.provider.look_up(charge))

    def cancel(self, charge: Charge) -> Any:
        return run(self.provider.cancel(charge))

    def refund(self, charge: Charge, key: str, amount_minor: int, known: str | None = None) -> Any:
        return run(self.provider.refund(charge, key, idr(amount_minor), known))

    def notice(self, webhook: Webhook) -> Notice:
        return run(self.provider.read_webhook(webhook))


def run(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    return asyncio.run(work)


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def a_charge(method: Method = "qris", amount_minor: int = 12_500_000, reference: str = "pay_1") -> Charge:
    return Charge("order-1", reference, idr(amount_minor), method, START + timedelta(minutes=15))


def settings_at(base_url: str) -> XenditSettings:
    return XenditSettings(base_url, "https://shop.example/", SECRET_KEY, CALLBACK_TOKEN)


@contextlib.contextmanager
def opened() -> Iterator[Shop]:
    """A shop with books of its own, until the block ends."""
    with taking_in() as inbox:
        made: list[Shop] = []
        with serving(notify=inbox.address, clock=lambda: made[0].now) as running:
            made.append(Shop(running, inbox))
            yield made[0]
