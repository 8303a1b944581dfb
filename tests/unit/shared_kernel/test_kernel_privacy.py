"""What customers told us stays out of the text of errors, which is logged."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared_kernel.contracts.inventory import ReserveStock
from shared_kernel.contracts.order import Order, OrderRequest, PlaceOrder
from shared_kernel.contracts.product import PricedLines
from shared_kernel.events import Event
from shared_kernel.result import Err
from shared_kernel.rpc import Call, Principal, field_errors

EMAIL = "sari@example.com"
# Wrong for each of the models, in one field at least.
UNFIT: dict[str, Any] = {
    "idempotency_key": 7,
    "request": {"email": EMAIL, "payment": {"token": EMAIL}, "items": EMAIL},
    "email": [EMAIL],
    "data": EMAIL,
    "details": EMAIL,
    "principal": {"kind": EMAIL, "credential": [EMAIL]},
    "kind": EMAIL,
    "lines": EMAIL,
}
MODELS: list[type[BaseModel]] = [
    PlaceOrder,
    OrderRequest,
    Order,
    ReserveStock,
    PricedLines,
    Event,
    Err,
    Call,
    Principal,
]


def _refusals(model: type[BaseModel]) -> list[ValidationError]:
    """Of Python objects, of JSON, of what is no JSON, and of an answer as `remote` reads it."""
    text = json.dumps(UNFIT)
    reads: list[Callable[[], object]] = [
        lambda: model.model_validate(UNFIT),
        lambda: model.model_validate_json(text),
        lambda: model.model_validate_json(text[:-1]),
        lambda: TypeAdapter(model).validate_json(text),
    ]
    refusals = []
    for read in reads:
        with pytest.raises(ValidationError) as refusal:
            read()
        refusals.append(refusal.value)
    return refusals


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_text_of_a_validation_error_shows_nothing_of_what_was_refused(model: type[BaseModel]) -> None:
    for refusal in _refusals(model):
        assert refusal.error_count() > 0
        assert "input_value" not in str(refusal)
        assert "input_value" not in repr(refusal)


def test_text_of_a_validation_error_holds_no_email_but_field_errors_name_the_field() -> None:
    wrong = {"items": [], "email": f"{EMAIL} ", "shipping_address": {"name": EMAIL}, "payment": EMAIL}
    with pytest.raises(ValidationError) as refusal:
        OrderRequest.model_validate_json(json.dumps(wrong))
    assert EMAIL not in str(refusal.value)
    errors = {error["field"]: error["code"] for error in field_errors(refusal.value)}
    assert errors["items"] == "too_short"
    assert errors["email"] == "string_pattern_mismatch"
    assert errors["shipping_address.city"] == "missing"
    assert errors["payment"].startswith("model")
    assert EMAIL not in json.dumps(field_errors(refusal.value))
