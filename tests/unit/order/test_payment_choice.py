"""What a customer has to say of how he pays, by method."""

from typing import get_args

import pytest
from pydantic import JsonValue, ValidationError

from shared_kernel.contracts.order import PaymentChoice
from shared_kernel.contracts.payment import Method, ProviderName

MEANS: dict[str, str] = {"token": "tok_ok", "phone": "+254700000001", "bank": "bri"}
NEEDS: dict[str, str] = {"card": "token", "stk_push": "phone", "virtual_account": "bank"}


def chosen(method: str, provider: str = "sandbox", **means: JsonValue) -> PaymentChoice:
    return PaymentChoice.model_validate({"provider": provider, "method": method, **means})


@pytest.mark.parametrize("provider", get_args(ProviderName))
@pytest.mark.parametrize("method", get_args(Method))
def test_every_provider_and_method_can_be_chosen_with_what_it_needs(provider: str, method: str) -> None:
    needed = NEEDS.get(method)
    choice = chosen(method, provider, **({needed: MEANS[needed]} if needed else {}))
    assert (choice.provider, choice.method) == (provider, method)


@pytest.mark.parametrize(("method", "needed"), NEEDS.items())
def test_what_a_method_needs_is_named_when_it_is_missing(method: str, needed: str) -> None:
    for explicit_null in (False, True):
        given: dict[str, JsonValue] = {name: value for name, value in MEANS.items() if name != needed}
        given |= {needed: None} if explicit_null else {}
        with pytest.raises(ValidationError) as refusal:
            PaymentChoice.model_validate({"provider": "sandbox", "method": method, **given})
        (error,) = refusal.value.errors()
        assert (error["loc"], error["type"]) == ((needed,), "missing")
        assert method in error["msg"]


@pytest.mark.parametrize(
    ("name", "value"), [("token", ""), ("token", "x" * 256), ("phone", "0700"), ("phone", "+0712345678"), ("bank", "b")]
)
def test_means_that_cannot_be_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        chosen("qris", **{name: value})
    assert [error["loc"] for error in refusal.value.errors()] == [(name,)]


def test_nothing_of_the_means_shows_in_a_log_of_the_choice() -> None:
    shown = repr(chosen("card", **MEANS))
    assert not [value for value in MEANS.values() if value in shown]
