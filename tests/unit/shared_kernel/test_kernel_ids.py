"""Ids name their kind, sort by time, and are derived the same way for ever; times sort as text."""

import doctest
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared_kernel import clock, result
from shared_kernel.clock import from_milliseconds, rfc3339, to_milliseconds
from shared_kernel.ids import Id, derived_id, is_id, new_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
moments = st.integers(0, 250_000_000_000 * 10**6).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))
parts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5)


def test_a_new_id_has_its_form_and_is_fresh() -> None:
    ids = {new_id("ord", NOW) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_id("ord", each) and TypeAdapter(Id).validate_python(each) == each for each in ids)


@given(moments, st.integers(1, 10**9))
def test_later_ids_sort_after_earlier_ones(moment: datetime, later_ms: int) -> None:
    later = from_milliseconds(min(to_milliseconds(moment) + later_ms, 2**48 - 1))
    assert new_id("prd", moment) < new_id("prd", later)


def test_a_derived_id_stays_what_it_is() -> None:
    assert derived_id("ord", "guest", "key-1") == derived_id("ord", "guest", "key-1")
    assert derived_id("ord", "guest", "key-1") == "ord_5KSF6PDKP4GME9YQBWFEYT68CB"


@given(parts, parts)
def test_different_parts_derive_different_ids(one: list[str], other: list[str]) -> None:
    assert (derived_id("ord", *one) == derived_id("ord", *other)) == (one == other)
    assert is_id("ord", derived_id("ord", *one))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ord",
        "ord_",
        "prd_" + "0" * 26,
        "ord_" + "0" * 25,
        "ord_" + "0" * 27,
        "ord_" + "I" * 26,
        "ord_" + "a" * 26,
        "ord_" + "0" * 26 + "\n",
    ],
)
def test_what_has_another_form_is_not_an_id(text: str) -> None:
    assert not is_id("ord", text)


def test_a_field_refuses_what_is_not_an_id() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Id).validate_python("ord_" + "0" * 26 + "\n")


@given(moments, moments)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    in_order = to_milliseconds(one) <= to_milliseconds(other)
    assert (rfc3339(one) <= rfc3339(other)) == in_order


@given(moments)
def test_milliseconds_and_text_name_the_same_moment(moment: datetime) -> None:
    whole = from_milliseconds(to_milliseconds(moment))
    assert timedelta(0) <= moment - whole < timedelta(milliseconds=1)
    assert datetime.fromisoformat(rfc3339(moment)) == whole


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    jakarta = NOW.astimezone(timezone(timedelta(hours=7)))
    assert rfc3339(jakarta) == "2026-11-21T08:30:00.000Z"


@pytest.mark.parametrize("module", [clock, result])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
