"""The first admin: what is written, where, by whom, and what is refused."""

import getpass
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.unit.wrangler.fake_checkout import calls, write
from wrangler import local_admin
from wrangler.admin import ask_password, chosen, main, parse_options, run
from wrangler.checkout import Checkout
from wrangler.first_admin import AddressTaken, AdminRefused, account, deployed, filled, local, make
from wrangler.rendering import ROOT
from wrangler.state import StateRefused, held
from wrangler.topology import PASAR

PASSWORD = "ikan bakar di tepi laut"
TAKEN = "ERROR: UNIQUE constraint failed: users.email: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)"


def given(checkout: Checkout) -> dict[str, Any]:
    """The file of SQL that wrangler was given."""
    told: dict[str, Any] = json.loads((checkout.root / "given").read_text())
    return told


class Accounts:
    """The real schema and statements of the user service on SQLite, in wrangler's place."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")
        for path in sorted((ROOT / "services" / "user" / "migrations").glob("*.sql")):
            self.database.executescript(path.read_text())

    def execute(self, _: tuple[str, ...], file: Path) -> tuple[int, str]:
        """Run the file as one transaction, as D1 does."""
        try:
            self.database.executescript(f"BEGIN;{file.read_text()};COMMIT;")
        except sqlite3.IntegrityError as error:
            self.database.rollback()
            return 1, f"ERROR: {error}: SQLITE_CONSTRAINT"
        return 0, "executed"

    def count(self, table: str) -> int:
        """How many rows a table has."""
        (count,) = self.database.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert isinstance(count, int)
        return count


@pytest.fixture
def real_statements() -> Checkout:
    """The checkout that the tests stand in."""
    return Checkout(ROOT)


def test_the_admin_is_written_with_an_entry_in_the_audit(real_statements: Checkout) -> None:
    accounts = Accounts()
    make(PASAR, real_statements, "production", account("Ibu@Pasar.example", "Ibu O'Hara;", PASSWORD), accounts.execute)
    user_id, email, name, hashed, role = accounts.database.execute(
        "SELECT id, email, name, password_hash, given_role FROM users"
    ).fetchone()
    assert (email, name, role) == ("ibu@pasar.example", "Ibu O'Hara;", "admin")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PasswordHasher().verify(hashed, PASSWORD)
    assert accounts.database.execute("SELECT DISTINCT subject_id FROM audit").fetchall() == [(user_id,)]
    (event,) = accounts.database.execute("SELECT event FROM outbox").fetchone()
    assert json.loads(event)["subject"] == user_id


def test_an_address_that_has_an_account_is_refused_and_nothing_is_written(real_statements: Checkout) -> None:
    accounts = Accounts()
    make(PASAR, real_statements, "production", account("ibu@pasar.example", "Ibu", PASSWORD), accounts.execute)
    before = {table: accounts.count(table) for table in ("users", "audit", "outbox")}
    with pytest.raises(AddressTaken, match=r"ibu@pasar\.example has an account already, which stays as it is"):
        make(PASAR, real_statements, "production", account("IBU@pasar.example", "Bu", "lain sekali"), accounts.execute)
    assert {table: accounts.count(table) for table in before} == before


def test_a_password_is_the_same_in_every_way_to_type_it(real_statements: Checkout) -> None:
    accounts = Accounts()
    make(
        PASAR, real_statements, "production", account("ibu@pasar.example", "Ibu", "cafe\u0301 senja"), accounts.execute
    )
    (hashed,) = accounts.database.execute("SELECT password_hash FROM users").fetchone()
    assert PasswordHasher().verify(hashed, "caf\u00e9 senja")


def test_a_value_is_a_literal_that_nothing_in_it_can_end() -> None:
    statement = filled("SELECT :name, :name", {"name": "a'); DROP TABLE users; -- é"})
    assert "DROP" not in statement
    assert sqlite3.connect(":memory:").execute(statement).fetchone() == ("a'); DROP TABLE users; -- é",) * 2


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(KeyError, match="shoe_size"):
        filled("SELECT :shoe_size", {"name": "x"})


@pytest.mark.parametrize(
    ("email", "name", "password", "complaint"),
    [
        ("nobody", "Ibu", PASSWORD, "the email is not accepted"),
        ("ibu@pasar.example", "", PASSWORD, "the name is not accepted"),
        ("ibu@pasar.example", "Ibu", "short", "the password is not accepted"),
        ("ibu@pasar.example", "Ibu", "x" * 129, "the password is not accepted"),
    ],
)
def test_what_the_api_would_not_take_is_refused_without_showing_it(
    email: str, name: str, password: str, complaint: str
) -> None:
    with pytest.raises(AdminRefused, match=complaint) as refused:
        account(email, name, password)
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", ["password123", "PASSWORD123", "ibu@pasar.example", "xxxxxxxxxxxx"])
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(AdminRefused, match="password"):
        chosen("ibu@pasar.example", "Ibu", password)
    assert chosen("ibu@pasar.example", "Ibu", PASSWORD).password == PASSWORD


def test_a_deployed_admin_goes_to_the_environments_database_by_a_file_that_is_gone_after_it(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(PASAR, checkout, "staging", account("ibu@pasar.example", "Ibu", PASSWORD), deployed(checkout, "staging"))
    (call,) = calls(checkout)
    assert "d1 execute pasar-user-staging " in call
    assert call.endswith("--env staging --remote")
    assert f"-c {checkout.root}/services/user/wrangler.jsonc" in call
    assert b"ibu@pasar.example".hex() in given(checkout)["text"]
    assert given(checkout)["mode"] == 0o600
    assert not Path(given(checkout)["path"]).exists()
    assert PASSWORD not in call
    assert "argon2id" not in call


def test_a_failure_of_wrangler_is_told_and_the_file_is_gone(checkout: Checkout) -> None:
    write(checkout.root / "fail", "Authentication error [code: 10000]")
    with pytest.raises(AdminRefused, match=r"could not be written: Authentication error \[code: 10000\]"):
        make(PASAR, checkout, "staging", account("a@b.example", "Ibu", PASSWORD), deployed(checkout, "staging"))
    write(checkout.root / "fail", TAKEN)
    with pytest.raises(AddressTaken):
        make(PASAR, checkout, "staging", account("a@b.example", "Ibu", PASSWORD), deployed(checkout, "staging"))


def test_a_local_admin_goes_to_the_state_alone(checkout: Checkout, tmp_path: Path) -> None:
    with held(tmp_path / "state") as state:
        make(PASAR, checkout, "local", account("a@b.example", "Ibu", PASSWORD), local(checkout, state))
    (call,) = calls(checkout)
    assert call.endswith(f"--local --persist-to {tmp_path}/state")
    assert "--remote" not in call


def test_options_ask_for_nothing_that_is_given(checkout: Checkout, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\r\nand a second line\n")
    (tmp_path / "state" / "v3").mkdir(parents=True)
    options = ["--state", str(tmp_path / "state"), "--email", "a@b.example", "--name", "Ibu"]
    assert run(parse_options([*options, "--password-file", str(secret)]), checkout=checkout) == "a@b.example"
    assert len(calls(checkout)) == 1


def test_a_state_that_runs_or_never_ran_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    state = tmp_path / "state"
    options = ["--state", str(state), "--email", "a@b.example", "--name", "Ibu", "--password-file", str(secret)]
    with pytest.raises(StateRefused, match="is not the state of a local system that has run"):
        run(parse_options(options), checkout=checkout)
    with held(state):
        (state / "v3").mkdir()
        with pytest.raises(StateRefused, match="another run"):
            run(parse_options(options), checkout=checkout)
    assert calls(checkout) == []


def test_a_password_is_typed_twice_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["one password", "one password", "one password", "another one"])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(typed))
    assert ask_password(None) == "one password"
    with pytest.raises(AdminRefused, match="the two passwords differ"):
        ask_password(None)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--env", "local"], ["--env", "staging", "--state", "x"], ["--env", "staging", "--password", "secret"]],
)
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2


def test_a_failure_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(tmp_path), "--email", "a@b.example", "--name", "Ibu"]) == 1
    assert capsys.readouterr().err == f"pasar: {tmp_path} is not the state of a local system that has run\n"


def test_ctrl_c_at_a_question_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    (tmp_path / "v3").mkdir()
    monkeypatch.setattr("builtins.input", interrupted)
    assert main(["--state", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\npasar: interrupted\n"


def test_an_admin_whose_password_was_lost_is_not_announced_with_another(checkout: Checkout, tmp_path: Path) -> None:
    write(checkout.root / "fail", TAKEN)
    for _ in range(2):
        with (
            held(tmp_path / "state") as state,
            pytest.raises(AdminRefused, match=r"its password in .*admin\.json is gone"),
        ):
            local_admin.ensure(PASAR, checkout, state)


def test_a_start_that_was_cut_off_keeps_the_password_that_it_wrote_down(checkout: Checkout, tmp_path: Path) -> None:
    with held(tmp_path / "state") as state:
        write(checkout.root / "fail", "power cut")
        with pytest.raises(AdminRefused):
            local_admin.ensure(PASAR, checkout, state)
        drafted = json.loads((state.folder / local_admin.FILE).read_text())
        assert not drafted["is_made"]
        # The account was written before the cut.
        write(checkout.root / "fail", TAKEN)
        made = local_admin.ensure(PASAR, checkout, state)
        assert (made.is_made, made.password) == (True, drafted["password"])
        (checkout.root / "fail").unlink()
        starts = len(calls(checkout))
        assert local_admin.ensure(PASAR, checkout, state) == made
        assert len(calls(checkout)) == starts
        assert (state.folder / local_admin.FILE).stat().st_mode & 0o777 == 0o600
