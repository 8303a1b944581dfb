"""The process that the providers' simulators share: faults, webhooks and books, by the example of Xendit's."""

from collections.abc import Iterator

import httpx
import pytest

from payment.application.ports import ProviderError
from payment.domain.charge import Captured, Waiting
from tests.providers.server import SIMULATORS, serving
from tests.providers.xendit import XenditSimulator
from tests.unit.payment.xendit_shop import Shop, a_charge, opened


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened() as shop:
        yield shop


def test_webhook_before_the_answer_comes_before_the_books_change(shop: Shop) -> None:
    shop.create(a_charge())
    seen: list[object] = []
    shop.inbox.on_arrival = lambda _: seen.append(shop.look_up(a_charge()))
    shop.control("pay", reference="pay_1", webhook="before_answer")
    assert [type(outcome) for outcome in seen] == [Waiting]
    assert isinstance(shop.look_up(a_charge()), Captured)
    assert [row["times_charged"] for row in shop.book()] == [1]


def test_late_webhook_arrives_after_the_command_is_done(shop: Shop) -> None:
    shop.create(a_charge())
    assert shop.control("pay", reference="pay_1", webhook="late", delay_seconds=0.05)["webhooks"] == []
    assert len(shop.inbox.wait_for(1)) == 1


def test_webhook_that_is_never_sent_can_be_sent_afterwards(shop: Shop) -> None:
    shop.create(a_charge())
    assert shop.control("pay", reference="pay_1", webhook="never")["webhooks"] == []
    assert shop.inbox.webhooks == []
    assert shop.control("webhook", reference="pay_1", webhook="twice")["webhooks"] == [200, 200]


def test_fault_is_for_the_next_calls_of_its_kind_only(shop: Shop) -> None:
    shop.control("next", fault="error_500", times=2)
    for _ in range(2):
        with pytest.raises(ProviderError):
            shop.create(a_charge())
    assert isinstance(shop.create(a_charge()), Waiting)


def test_what_does_not_wait_is_not_paid_unless_the_test_insists(shop: Shop) -> None:
    shop.create(a_charge())
    shop.control("expire", reference="pay_1")
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        shop.control("pay", reference="pay_1")
    assert refusal.value.response.status_code == 409
    assert shop.control("pay", reference="pay_1", anyway=True)["item"]["status"] == "captured"


@pytest.mark.parametrize(
    ("command", "options", "status"),
    [
        ("pay", {"reference": "unknown"}, 404),
        ("pay", {}, 400),
        ("next", {"fault": "unknown"}, 400),
        ("unknown", {"reference": "pay_1"}, 404),
    ],
)
def test_wrong_command_is_refused(shop: Shop, command: str, options: dict[str, str], status: int) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        shop.control(command, **options)
    assert refusal.value.response.status_code == status


def test_reset_forgets_charges_and_faults(shop: Shop) -> None:
    shop.create(a_charge())
    shop.control("next", fault="decline")
    shop.control("reset")
    assert shop.book() == []
    assert isinstance(shop.create(a_charge()), Waiting)


def test_settings_of_every_simulator_are_told(shop: Shop) -> None:
    told = httpx.get(f"{shop.running.address}/control").json()
    assert told["XENDIT_URL"] == shop.running.url("xendit")
    for simulator in SIMULATORS:
        assert simulator.settings.items() <= told.items()


def test_secrets_of_a_run_take_the_place_of_the_simulators_own() -> None:
    with serving(secrets={"XENDIT_SECRET_KEY": "another", "NOBODYS": "x"}) as running:
        settings = running.providers.settings(running.address)
        assert settings["XENDIT_SECRET_KEY"] == "another"
        assert "NOBODYS" not in settings
        statuses = [
            httpx.get(
                f"{running.url('xendit')}/v3/payment_requests?reference_id=pay_1",
                auth=(key, ""),
                headers={"api-version": "2024-11-11"},
                trust_env=False,
            ).status_code
            for key in (XenditSimulator.settings["XENDIT_SECRET_KEY"], "another")
        ]
    assert statuses == [401, 200]
