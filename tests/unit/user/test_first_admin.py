"""The statements of the first admin: what they write is an account like any other, told and audited."""

import json

import pytest

from shared_kernel.events import Event
from shared_kernel.ids import new_id
from shared_kernel.sql import ConstraintViolated, Statement
from tests.unit.sqlite_database import REPOSITORY
from tests.unit.user.account_world import PASSWORD, TRACE, World, run

FILE = REPOSITORY / "services/user/first_admin.sql"


def create(world: World, email: str) -> str:
    """The id of the admin, as scripts/create_admin.sh makes it."""
    account_id = new_id("usr", world.now)
    given = {
        "id": account_id,
        "email": email,
        "name": "Root",
        "password_hash": f"$argon2id$1${PASSWORD}",
        "audit_id": new_id("aud", world.now),
        "event_id": new_id("evt", world.now),
        "traceparent": TRACE,
        "at": "2026-11-21T08:30:00.000Z",
    }
    text = "".join(line for line in FILE.read_text().splitlines(True) if not line.startswith("--"))
    # The longest name goes first, because :id begins no other but :event_id ends with it.
    for name in sorted(given, key=len, reverse=True):
        text = text.replace(f":{name}", "'" + given[name].replace("'", "''") + "'")
    run(world.database.batch([Statement(sql) for sql in text.split(";") if sql.strip()]))
    return account_id


def test_first_admin_signs_in_and_gives_rights() -> None:
    world = World()
    admin_id = create(world, "root@example.com")
    tokens = world.sign_in("Root")
    assert world.standing(tokens).role == "admin"
    assert world.audited() == [("user.registered", "operator", admin_id)]
    (row,) = world.rows("SELECT event FROM outbox")
    told = Event.model_validate_json(str(row["event"]))
    assert (told.type, told.subject, told.data) == ("user.registered", admin_id, {"role": "admin"})
    assert set(json.loads(str(row["event"]))) == set(json.loads(told.model_dump_json()))


def test_address_that_is_taken_makes_no_admin() -> None:
    world = World()
    world.register("Root")
    before = (world.audited(), world.events())
    with pytest.raises(ConstraintViolated):
        create(world, "root@example.com")
    assert (world.audited(), world.events()) == before
    assert world.rows("SELECT given_role FROM users") == [{"given_role": "customer"}]
