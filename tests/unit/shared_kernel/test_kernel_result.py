"""A result comes out of the wire as it went in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from shared_kernel.errors import FAMILIES, Conflict, DomainError, Fault, Unavailable
from shared_kernel.result import Err, Ok, decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class OutOfStock(Conflict):
    """A refusal of a service's own."""

    code = "out_of_stock"


@given(values)
def test_a_value_survives(value: JsonValue) -> None:
    result = decode(encode(Ok(json.dumps(value))))
    assert isinstance(result, Ok)
    assert json.loads(result.json) == value


@given(st.sampled_from(sorted(FAMILIES)), texts, texts, st.dictionaries(texts, values, max_size=4))
def test_a_refusal_survives(family: str, code: str, message: str, details: dict[str, JsonValue]) -> None:
    error = FAMILIES[family](message, code=code, details=details)
    result = decode(encode(Err.of(error)))
    assert isinstance(result, Err)
    arrived = result.exception()
    assert type(arrived) is FAMILIES[family]
    assert (arrived.code, arrived.message, arrived.details) == (code, message, details)


def test_a_services_own_refusal_arrives_as_its_family_with_its_code() -> None:
    arrived = Err.of(OutOfStock("none left", details={"product_ids": ["a"]})).exception()
    assert type(arrived) is Conflict
    assert (arrived.code, str(arrived), arrived.details) == ("out_of_stock", "none left", {"product_ids": ["a"]})


def test_an_unknown_family_arrives_as_a_fault() -> None:
    assert type(Err(family="newer", code="new", message="?").exception()) is Fault


def test_every_family_can_be_caught_as_a_domain_error_and_has_a_code() -> None:
    assert all(issubclass(kind, DomainError) and kind.code for kind in FAMILIES.values())
    assert issubclass(Unavailable, Fault)


@pytest.mark.parametrize("text", ["", "1", "{}", " +1", "-", "-1", "-{}", '-{"family": 1}'])
def test_any_other_text_is_no_result(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a result|validation error"):
        decode(text)
