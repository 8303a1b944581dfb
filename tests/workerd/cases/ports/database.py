"""A Database: what goes in comes out, a batch is one transaction, and the schema's refusals are told from faults."""

import json

from shared_kernel.sql import ConstraintViolated, Database, SqlValue, Statement
from tests.workerd.cases.expecting import raises

LARGEST = 2**53 - 1


def insert(name: str, **values: SqlValue) -> Statement:
    row = {"name": name, "wanted": "", **values}
    return Statement(f"INSERT INTO samples ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", (*row.values(),))


async def names(database: Database) -> list[SqlValue]:
    return [row["name"] for row in await database.rows("SELECT name FROM samples ORDER BY name")]


async def test_whole_numbers_are_kept_exactly(scratch_db: Database) -> None:
    numbers = [0, 1, -1, 255, 2**31, 2**32 + 1, LARGEST - 1, LARGEST, 1 - LARGEST, -LARGEST]
    await scratch_db.batch([insert(str(place), whole=number) for place, number in enumerate(numbers)])
    rows = await scratch_db.rows("SELECT whole, typeof(whole) AS kind FROM samples ORDER BY CAST(name AS INTEGER)")
    assert [row["whole"] for row in rows] == numbers
    assert {row["kind"] for row in rows} == {"integer"}
    texts = [await scratch_db.text("SELECT whole FROM samples WHERE name = ?", str(i)) for i in range(len(numbers))]
    assert texts == [str(number) for number in numbers]
    written = await scratch_db.text("SELECT json_group_array(whole) FROM samples WHERE whole = ?", LARGEST)
    assert json.loads(written or "") == [LARGEST]


async def test_fractions_are_kept_exactly(scratch_db: Database) -> None:
    numbers = [0.1, -6.2, 1e300, 5e-324, 106.81666564941406]
    await scratch_db.batch([insert(str(place), fraction=number) for place, number in enumerate(numbers)])
    rows = await scratch_db.rows("SELECT fraction FROM samples ORDER BY name")
    assert [row["fraction"] for row in rows] == numbers


async def test_text_is_kept_exactly(scratch_db: Database) -> None:
    texts = ["", " ", "naïve", "\U0001f455 日本", "'; DROP TABLE samples; --", '{"a": "\\"\n"}', "é" * 40_000, "null"]
    await scratch_db.batch([insert(str(place), words=text) for place, text in enumerate(texts)])
    rows = await scratch_db.rows("SELECT words FROM samples ORDER BY name")
    assert [row["words"] for row in rows] == texts
    assert await scratch_db.text("SELECT words FROM samples WHERE name = '3'") == texts[3]
    assert await scratch_db.text("SELECT words FROM samples WHERE name = '0'") == ""


async def test_null_goes_in_and_comes_out(scratch_db: Database) -> None:
    await scratch_db.batch([insert("a", whole=None, words=None)])
    assert await scratch_db.rows("SELECT whole, words FROM samples WHERE whole IS ?", None) == [
        {"whole": None, "words": None}
    ]
    assert await scratch_db.text("SELECT words FROM samples") is None


async def test_an_empty_result_is_no_rows_and_no_text(scratch_db: Database) -> None:
    assert await scratch_db.rows("SELECT * FROM samples") == []
    assert await scratch_db.text("SELECT name FROM samples") is None
    assert await scratch_db.batch([Statement("SELECT * FROM samples")]) == [([], 0)]


async def test_a_batch_tells_what_each_statement_gave_and_changed(scratch_db: Database) -> None:
    outcomes = await scratch_db.batch(
        [
            insert("a"),
            insert("b"),
            Statement("UPDATE samples SET wanted = 'x'"),
            Statement("UPDATE samples SET wanted = 'y' WHERE name = 'none'"),
            Statement("DELETE FROM samples WHERE name = 'b' RETURNING name, wanted"),
        ]
    )
    assert [outcome.changes for outcome in outcomes] == [1, 1, 2, 0, 1]
    assert outcomes[4].rows == [{"name": "b", "wanted": "x"}]


async def test_statements_of_a_batch_see_what_those_before_did(scratch_db: Database) -> None:
    await scratch_db.batch(
        [
            insert("a"),
            Statement("UPDATE samples SET wanted = 'x' WHERE name = 'a'"),
            Statement("INSERT INTO effects (subject) VALUES (iif(changes() = 1, 'changed', NULL))"),
        ]
    )
    assert await scratch_db.text("SELECT subject FROM effects") == "changed"


REFUSED = {
    "CHECK": insert("x", whole=13),
    "UNIQUE": insert("x", words="taken"),
    "PRIMARY KEY": insert("kept"),
    "NOT NULL": insert("x", wanted=None),
    "FOREIGN KEY": Statement("INSERT INTO parts (sample) VALUES ('none')"),
    "RAISE(ABORT)": Statement("UPDATE samples SET name = 'x' WHERE name = 'kept'"),
    "STRICT": insert("x", whole="many"),
}


async def test_a_batch_with_a_refused_statement_writes_nothing(scratch_db: Database) -> None:
    await scratch_db.batch([insert("kept", words="taken")])
    for refused in REFUSED.values():
        with raises(ConstraintViolated):
            await scratch_db.batch([insert("before"), refused, insert("behind")])
        assert await names(scratch_db) == ["kept"]


async def test_the_refusal_of_a_trigger_says_why(scratch_db: Database) -> None:
    await scratch_db.batch([insert("kept")])
    with raises(ConstraintViolated) as refusals:
        await scratch_db.batch([REFUSED["RAISE(ABORT)"]])
    assert "illegal change of a name" in str(refusals[0])


async def test_a_single_statement_is_refused_alike(scratch_db: Database) -> None:
    with raises(ConstraintViolated):
        await scratch_db.rows("INSERT INTO effects (subject) VALUES ('impossible') RETURNING subject")
    with raises(ConstraintViolated):
        await scratch_db.text("INSERT INTO effects (subject) VALUES (?) RETURNING subject", None)
    assert await scratch_db.rows("SELECT * FROM effects") == []


async def test_a_mistake_in_a_statement_is_no_refusal_of_the_schema(scratch_db: Database) -> None:
    for mistake in ("SELEKT 1", "SELECT * FROM nothing", "INSERT INTO samples (colour) VALUES (1)"):
        with raises(Exception) as failures:
            await scratch_db.batch([insert("before"), Statement(mistake)])
        assert not isinstance(failures[0], ConstraintViolated)
        assert await names(scratch_db) == []


async def test_a_list_goes_in_and_out_as_one_text(scratch_db: Database) -> None:
    await scratch_db.batch([insert(name) for name in "abc"])
    text = await scratch_db.text(
        """SELECT json_group_array(json_object('name', name, 'whole', whole)) FROM (
        SELECT * FROM samples WHERE name IN (SELECT value FROM json_each(?)) ORDER BY name DESC)""",
        json.dumps(["a", "c", "none"]),
    )
    assert json.loads(text or "") == [{"name": "c", "whole": None}, {"name": "a", "whole": None}]
