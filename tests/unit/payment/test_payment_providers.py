"""Which providers an environment has: those whose secrets are there, and no other."""

import pytest

from payment.infrastructure.http_calls import Calls
from payment.infrastructure.providers import configured
from shared_kernel.rpc import CircuitBreaker
from tests.unit.payment.test_payment_http_calls import Provider

SECRETS = {
    "midtrans": ("MIDTRANS_SERVER_KEY",),
    "mpesa": (
        "MPESA_CONSUMER_KEY",
        "MPESA_CONSUMER_SECRET",
        "MPESA_PASSKEY",
        "MPESA_SHORTCODE",
        "MPESA_CALLBACK_SECRET",
    ),
    "paypal": ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"),
    "stripe": ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
    "xendit": ("XENDIT_SECRET_KEY", "XENDIT_CALLBACK_TOKEN"),
}
ALL = {name: "a-secret" for names in SECRETS.values() for name in names} | {"PUBLIC_URL": "https://shop.example"}


def _names(settings: dict[str, str]) -> list[str]:
    outside = Provider()

    def calls(provider: str) -> Calls:
        return Calls(outside, provider, CircuitBreaker(), outside.clock, outside.pause)

    return sorted(configured(settings.get, calls, outside.clock))


def test_every_provider_with_its_secrets_is_there() -> None:
    assert _names(ALL) == sorted(SECRETS)
    assert _names({}) == []


def test_mpesa_is_absent_in_production_until_its_addresses_are_listed() -> None:
    production = ALL | {"ENVIRONMENT": "production"}
    assert _names(production) == sorted(SECRETS.keys() - {"mpesa"})
    assert _names(production | {"MPESA_CALLBACK_ADDRESSES": "196.201.214.0/24"}) == sorted(SECRETS)


@pytest.mark.parametrize("provider", SECRETS)
def test_provider_is_absent_when_any_of_its_secrets_is(provider: str) -> None:
    for missing in SECRETS[provider]:
        left = {name: value for name, value in ALL.items() if name != missing}
        assert _names(left) == sorted(SECRETS.keys() - {provider})
