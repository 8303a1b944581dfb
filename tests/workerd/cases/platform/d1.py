"""D1 by itself: the limits and habits of the platform that SQLite on the host does not have."""

from shared_kernel.sql import ConstraintViolated, Database
from tests.workerd.cases.expecting import raises


async def test_a_number_is_bound_as_a_real(scratch_db: Database) -> None:
    assert await scratch_db.text("SELECT typeof(?)", 5) == "real"
    assert await scratch_db.text("SELECT json_object('n', ?)", 5) == '{"n":5.0}'
    assert await scratch_db.text("SELECT json_object('n', CAST(? AS INTEGER))", 5) == '{"n":5}'


async def test_a_statement_takes_a_hundred_parameters(scratch_db: Database) -> None:
    marks = ", ".join("(?)" for _ in range(100))
    assert len(await scratch_db.rows(f"SELECT * FROM (VALUES {marks})", *range(100))) == 100
    with raises(RuntimeError):
        await scratch_db.rows(f"SELECT * FROM (VALUES {marks}, (?))", *range(101))


async def test_a_whole_number_that_javascript_does_not_hold_is_refused(scratch_db: Database) -> None:
    with raises(Exception) as failures:
        await scratch_db.rows("SELECT ?", 2**53 + 1)
    assert not isinstance(failures[0], ConstraintViolated)


async def test_a_pattern_of_more_than_fifty_bytes_is_refused(scratch_db: Database) -> None:
    assert await scratch_db.text("SELECT 'x' LIKE ?", "x" * 50) == "0"
    with raises(RuntimeError):
        await scratch_db.text("SELECT 'x' LIKE ?", "x" * 51)
