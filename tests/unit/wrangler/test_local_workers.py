"""What stands around a Worker's configuration in a local run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.wrangler.fake_checkout import calls, write
from wrangler.checkout import Checkout
from wrangler.guarded import RunFailed
from wrangler.local_databases import migrate
from wrangler.local_workers import follow_sources, parse_overrides, write_workers
from wrangler.state import held
from wrangler.topology import PASAR
from wrangler.topology_model import TopologyError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "state"


def written(
    folder: Path, checkout: Checkout, *settings: str, optional_secrets: bool = False
) -> dict[str, dict[str, Any]]:
    """The configurations of a run by Worker, in the order in which wrangler gets them."""
    overrides = parse_overrides(PASAR, list(settings))
    with held(folder) as state:
        paths = write_workers(PASAR, checkout, state, overrides, optional_secrets=optional_secrets)
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def test_the_gateway_comes_first_because_the_first_gets_the_port(folder: Path, checkout: Checkout) -> None:
    names = list(written(folder, checkout))
    assert names[0] == "gateway"
    assert sorted(names) == sorted(worker.name for worker in PASAR.workers)


def test_a_local_worker_runs_on_the_runtime_of_the_checkout(folder: Path, checkout: Checkout) -> None:
    for name, configuration in written(folder, checkout).items():
        assert configuration["compatibility_flags"] == [
            "python_workers",
            "python_workers_development",
            "experimental",
        ]
        assert not {"build", "env"} & configuration.keys()
        assert (folder / "config" / name / "python_modules").readlink() == checkout.python_modules


def test_every_local_database_is_one_of_its_own(folder: Path, checkout: Checkout) -> None:
    databases = [one for made in written(folder, checkout).values() for one in made.get("d1_databases", [])]
    assert len({database["database_id"] for database in databases}) == len(databases) == 5


def test_secrets_reach_their_worker_alone_and_are_private(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    made = json.loads((folder / "secrets.json").read_text())
    files = {worker.name: folder / "config" / worker.name / ".dev.vars" for worker in PASAR.workers}
    assert files["gateway"].read_text() == f'STAFF_TOKEN="{made["gateway"]["STAFF_TOKEN"]}"\n'
    assert files["user"].read_text() == f'SIGNING_KEY_SECRET="{made["user"]["SIGNING_KEY_SECRET"]}"\n'
    assert all(path.read_text() == "" for name, path in files.items() if name not in ("gateway", "user"))
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files.values())


def test_optional_secrets_reach_their_worker_only_when_they_are_wanted(folder: Path, checkout: Checkout) -> None:
    configured = written(folder, checkout, optional_secrets=True)
    made = json.loads((folder / "secrets.json").read_text())["payment"]
    given = folder / "config" / "payment" / ".dev.vars"
    assert given.read_text() == "".join(f'{name}="{made[name]}"\n' for name in made)
    assert "XENDIT_SECRET_KEY" in made
    # wrangler would read no other secret than the required ones where it is told of any.
    assert "secrets" not in configured["payment"]
    written(folder, checkout)
    assert given.read_text() == ""


def test_sources_and_shared_packages_stand_below_the_main_module(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    source = folder / "config" / "order" / "src"
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*.py")}
    assert sorted(files) == ["entry.py", "order_saga/saga.py", "shared_kernel/money.py"]
    assert files["order_saga/saga.py"].read_text() == "# saga"
    assert not (folder / "config" / "product" / "src" / "order_saga").exists()


def test_an_edit_alone_does_not_reach_the_run(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    write(checkout.root / "shared_kernel" / "money.py", "# edited")
    assert (folder / "config" / "order" / "src" / "shared_kernel" / "money.py").read_text() == "# money"


def test_what_was_edited_came_or_went_is_shown_to_the_run_once(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    write(checkout.root / "shared_kernel" / "ids.py", "# new")
    (checkout.root / "shared_kernel" / "money.py").unlink()
    write(checkout.root / "services" / "order" / "src" / "entry.py", "# edited")
    with held(folder) as state:
        assert [follow_sources(PASAR, checkout, state) for _ in range(2)] == [True, False]
    shown = folder / "config" / "gateway" / "src" / "shared_kernel"
    assert [path.name for path in shown.iterdir()] == ["ids.py"]
    assert (folder / "config" / "order" / "src" / "entry.py").read_text() == "# edited"


def test_a_source_folder_that_is_gone_for_a_moment_changes_nothing(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    (checkout.root / "workflows").rename(checkout.root / "away")
    with held(folder) as state:
        assert not follow_sources(PASAR, checkout, state)
        (checkout.root / "away").rename(checkout.root / "workflows")
        assert not follow_sources(PASAR, checkout, state)
    assert (folder / "config" / "order" / "src" / "order_saga" / "saga.py").read_text() == "# saga"


def test_a_setting_is_changed_for_one_worker(folder: Path, checkout: Checkout) -> None:
    made = written(folder, checkout, "inventory.HOLD_SECONDS=3", "payment.SANDBOX=a=b")
    assert made["inventory"]["vars"]["HOLD_SECONDS"] == "3"
    assert made["payment"]["vars"]["SANDBOX"] == "a=b"
    assert written(folder, checkout)["inventory"]["vars"]["HOLD_SECONDS"] == "600"


def test_a_rate_limit_and_what_the_worker_is_told_of_it_are_lowered_together(folder: Path, checkout: Checkout) -> None:
    gateway = written(folder, checkout, "gateway.LIMIT_SIGN_IN=5;10")["gateway"]
    limits = {one["name"]: one["simple"] for one in gateway["ratelimits"]}
    assert limits["LIMIT_SIGN_IN"] == {"limit": 5, "period": 10}
    assert limits["LIMIT_READ"] == {"limit": 100_000, "period": 60}
    told = {name: value for name, value in gateway["vars"].items() if name.startswith("LIMIT_")}
    assert told == {
        "LIMIT_READ_QUOTA": "100000;60",
        "LIMIT_WRITE_QUOTA": "100000;60",
        "LIMIT_SIGN_IN_QUOTA": "5;10",
        "LIMIT_CHECKOUT_QUOTA": "100000;60",
        "LIMIT_WEBHOOK_QUOTA": "100000;60",
    }


def test_the_gateway_serves_the_assets_of_the_checkout(folder: Path, checkout: Checkout) -> None:
    assert written(folder, checkout)["gateway"]["assets"]["directory"] == str(checkout.assets)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("HOLD_SECONDS=3", "--set takes WORKER.VARIABLE=VALUE"),
        ("inventory.HOLD_SECONDS", "--set takes WORKER.VARIABLE=VALUE"),
        ("inventory.HOLD=3", "inventory has no variable 'HOLD'"),
        ("gateway.STAFF_TOKEN=easy", "gateway has no variable 'STAFF_TOKEN'"),
        ("stock.HOLD_SECONDS=3", "no Worker called 'stock'"),
        ("gateway.LIMIT_SIGN_IN_QUOTA=5;60", "gateway has no variable 'LIMIT_SIGN_IN_QUOTA'"),
        ("gateway.LIMIT_SIGN_IN=5", "such as 5;60, not '5'"),
        ("gateway.LIMIT_SIGN_IN=-5;60", "such as 5;60, not '-5;60'"),
        ("gateway.LIMIT_SIGN_IN=5;30", "gateway.LIMIT_SIGN_IN allows 5;30; a rate limit is"),
        ("gateway.LIMIT_SIGN_IN=0;60", "gateway.LIMIT_SIGN_IN allows 0;60; a rate limit is"),
        ("inventory.LIMIT_READ=5;60", "inventory has no variable 'LIMIT_READ'"),
    ],
)
def test_a_setting_that_there_is_not_is_refused(setting: str, complaint: str) -> None:
    with pytest.raises(TopologyError, match=complaint):
        parse_overrides(PASAR, [setting])


def test_a_service_without_sources_is_refused(folder: Path, checkout: Checkout) -> None:
    (checkout.root / "services" / "payment" / "src" / "entry.py").unlink()
    (checkout.root / "services" / "payment" / "src").rmdir()
    with pytest.raises(FileNotFoundError, match="payment/src does not exist"):
        written(folder, checkout)


def test_migrations_are_applied_in_one_go_and_again_only_when_there_is_a_new_one(
    folder: Path, checkout: Checkout
) -> None:
    with held(folder) as state:
        assert migrate(PASAR, checkout, state)
        assert not migrate(PASAR, checkout, state)
        write(checkout.root / "services" / "order" / "migrations" / "0002_second.sql", "CREATE TABLE two (id TEXT);")
        assert migrate(PASAR, checkout, state)
    assert len(calls(checkout)) == 2
    work = json.loads(calls(checkout)[0].partition(" ")[2])
    assert work["persist"] == str(folder)
    assert work["databases"][0] == {
        "id": "pasar-product-local",
        "folder": str(checkout.root / "services" / "product" / "migrations"),
    }


def test_a_migration_that_fails_stops_the_run_and_is_tried_again(folder: Path, checkout: Checkout) -> None:
    (checkout.root / "fail").write_text("migration 0001_first.sql failed: near TABEL")
    with held(folder) as state:
        with pytest.raises(RunFailed, match="near TABEL"):
            migrate(PASAR, checkout, state)
        (checkout.root / "fail").unlink()
        assert migrate(PASAR, checkout, state)
