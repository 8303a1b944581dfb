"""An object's storage: what one statement, one transaction and one exception do to what was written."""

from order.infrastructure.object_storage import Storage
from shared_kernel.sql import ConstraintViolated, SqlValue
from tests.workerd.cases.expecting import raises


class Broken(Exception):
    """What a case raises in the middle."""


def prepared(storage: Storage) -> Storage:
    storage.execute("CREATE TABLE samples (value ANY UNIQUE, other TEXT CHECK (other <> 'no') DEFAULT 'yes') STRICT")
    return storage


def add(storage: Storage, value: SqlValue, other: str = "yes") -> None:
    storage.execute("INSERT INTO samples (value, other) VALUES (?, ?)", value, other)


def values(storage: Storage) -> list[SqlValue]:
    return [row["value"] for row in storage.execute("SELECT value FROM samples ORDER BY rowid")]


async def test_what_goes_in_comes_out(storage: Storage) -> None:
    prepared(storage)
    samples: list[SqlValue] = [None, 0, -1, 2**53 - 1, 1 - 2**53, 0.1, 5e-324, "", "naïve \U0001f455", "é" * 40_000]
    for sample in samples:
        add(storage, sample)
    assert values(storage) == samples
    assert storage.execute("SELECT value FROM samples WHERE value = 'none'") == []


async def test_the_schema_refuses_a_statement(storage: Storage) -> None:
    prepared(storage)
    add(storage, "a")
    for value, other in (("a", "yes"), ("b", "no")):
        with raises(ConstraintViolated):
            add(storage, value, other)
    with raises(Exception) as failures:
        storage.execute("SELEKT 1")
    assert not isinstance(failures[0], ConstraintViolated)
    assert values(storage) == ["a"]


async def test_an_exception_does_not_undo_the_statements_before_it(storage: Storage) -> None:
    prepared(storage)

    def break_in_the_middle() -> None:
        add(storage, "a")
        raise Broken

    with raises(Broken):
        break_in_the_middle()
    assert values(storage) == ["a"]


async def test_a_transaction_that_raises_is_undone_as_a_whole(storage: Storage) -> None:
    prepared(storage)

    def refused() -> None:
        add(storage, "a")
        add(storage, "a")

    def broken() -> None:
        add(storage, "b")
        storage.wake_at(4_000_000_000_000)
        raise Broken("with its words")

    with raises(ConstraintViolated):
        storage.transaction(refused)
    with raises(Broken) as failures:
        storage.transaction(broken)
    assert str(failures[0]) == "with its words"
    assert values(storage) == []
    add(storage, "c")
    assert values(storage) == ["c"]


async def test_a_transaction_that_ends_is_kept(storage: Storage) -> None:
    prepared(storage)
    storage.transaction(lambda: add(storage, "a"))
    storage.transaction(lambda: add(storage, "b"))
    assert values(storage) == ["a", "b"]
