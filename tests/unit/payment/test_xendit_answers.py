"""How the Xendit adapter takes every answer that it may get, and every amount."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment.application.ports import HttpAnswer, NoAnswer, ProviderError
from payment.domain.charge import (
    Means,
    Waiting,
)
from payment.infrastructure.xendit import XenditProvider, settings_from
from shared_kernel.errors import Invalid
from shared_kernel.money import LARGEST_AMOUNT_MINOR
from tests.providers.xendit import CALLBACK_TOKEN, SECRET_KEY
from tests.unit.payment.xendit_shop import NOTHING, a_charge, run, settings_at


class OneAnswer:
    """A provider that repeats the amount it was asked for, or says whatever the test wants."""

    def __init__(self, change: Mapping[str, object] | None = None, text: str | None = None, status: int = 201) -> None:
        self.change = change or {}
        self.text = text
        self.status = status
        self.asked: list[dict[str, Any]] = []

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: str | None = None, timeout_seconds: float = 10
    ) -> HttpAnswer:
        if method == "GET":
            return HttpAnswer(200, {}, '{"data": []}')
        self.asked.append(json.loads(body or "{}"))
        actions = [{"type": "PRESENT_TO_CUSTOMER", "descriptor": "QR_STRING", "value": "000201"}]
        told = {**self.asked[-1], "payment_request_id": "pr-1", "status": "REQUIRES_ACTION", "actions": actions}
        return HttpAnswer(self.status, {}, self.text if self.text is not None else json.dumps({**told, **self.change}))


@settings(max_examples=200)
@given(st.integers(1, LARGEST_AMOUNT_MINOR // 100))
def test_every_whole_rupiah_goes_out_and_comes_back_exactly(rupiah: int) -> None:
    http = OneAnswer()
    charge = a_charge(amount_minor=rupiah * 100)
    assert isinstance(run(XenditProvider(http, settings_at("")).create(charge, NOTHING)), Waiting)
    assert [asked["request_amount"] for asked in http.asked] == [rupiah]
    other = OneAnswer({"request_amount": rupiah + 1})
    with pytest.raises(ProviderError):
        run(XenditProvider(other, settings_at("")).create(charge, NOTHING))


@given(st.integers(1, LARGEST_AMOUNT_MINOR).filter(lambda amount_minor: amount_minor % 100 != 0))
def test_every_fraction_of_a_rupiah_is_refused(amount_minor: int) -> None:
    http = OneAnswer()
    with pytest.raises(Invalid):
        run(XenditProvider(http, settings_at("")).create(a_charge(amount_minor=amount_minor), NOTHING))
    assert http.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"request_amount": 125_000.01},
        {"request_amount": "NaN"},
        {"currency": "USD"},
        {"reference_id": "pay_2"},
        {"status": "AUTHORIZED"},
        {"status": "NEWER"},
        {"actions": []},
        {"payment_request_id": None},
    ],
)
def test_answer_about_anything_else_is_no_clear_answer(change: Mapping[str, object]) -> None:
    with pytest.raises(ProviderError):
        run(XenditProvider(OneAnswer(change), settings_at("")).create(a_charge(), NOTHING))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<html>"),
        (201, "[]"),
        (401, json.dumps({"error_code": "INVALID_API_KEY", "message": SECRET_KEY})),
        (403, json.dumps({"error_code": "REQUEST_FORBIDDEN_ERROR"})),
        (400, json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE"})),
        (409, json.dumps({"error_code": SECRET_KEY})),
        (429, ""),
        (503, json.dumps({"error_code": "CHANNEL_UNAVAILABLE"})),
    ],
)
def test_unclear_answer_is_an_error_that_tells_no_secret(status: int, text: str) -> None:
    charge = a_charge("card")
    with pytest.raises(ProviderError) as unclear:
        run(
            XenditProvider(OneAnswer(text=text, status=status), settings_at("")).create(
                charge, Means(token="pt-secret")
            )
        )
    said = repr(unclear.value) + repr(unclear.value.__cause__) + unclear.value.message
    assert SECRET_KEY not in said
    assert "pt-secret" not in said


def test_silence_is_an_error_that_tells_no_secret() -> None:
    class Silent:
        async def send(
            self,
            method: str,
            url: str,
            *,
            headers: Mapping[str, str],
            body: str | None = None,
            timeout_seconds: float = 10,
        ) -> HttpAnswer:
            raise NoAnswer(str(headers) + str(body))

    with pytest.raises(ProviderError) as unclear:
        run(XenditProvider(Silent(), settings_at("")).create(a_charge("card"), Means(token="pt-secret")))
    assert "pt-secret" not in str(unclear.value)
    assert unclear.value.__cause__ is None
    assert SECRET_KEY not in repr(settings_at(""))


def test_settings_need_every_secret() -> None:
    given_settings = {
        "XENDIT_SECRET_KEY": SECRET_KEY,
        "XENDIT_CALLBACK_TOKEN": CALLBACK_TOKEN,
        "PUBLIC_URL": "https://shop.example",
    }
    complete = settings_from(given_settings.get)
    assert complete is not None
    assert complete.base_url == "https://api.xendit.co"
    for name in given_settings:
        assert settings_from({**given_settings, name: ""}.get) is None
