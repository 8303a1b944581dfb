"""What stands around a Worker's configuration in a local run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.wrangler.fake_checkout import calls, fake_checkout, write
from wrangler.checkout import Checkout
from wrangler.guarded import RunFailed
from wrangler.local_databases import migrate
from wrangler.local_workers import link_new_sources, parse_overrides, write_workers
from wrangler.state import held
from wrangler.topology import PASAR
from wrangler.topology_model import TopologyError


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout without tools."""
    return fake_checkout(tmp_path / "checkout")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state directory."""
    return tmp_path / "state"


def written(
    folder: Path, checkout: Checkout, *settings: str, link: bool = True, optional_secrets: bool = False
) -> dict[str, dict[str, Any]]:
    """The configurations of a run by Worker, in the order in which wrangler gets them."""
    overrides = parse_overrides(PASAR, list(settings))
    with held(folder) as state:
        paths = write_workers(PASAR, checkout, state, overrides, link=link, optional_secrets=optional_secrets)
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
    assert len({database["database_id"] for database in databases}) == len(databases) == 4


def test_secrets_reach_their_worker_alone_and_are_private(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    secret = json.loads((folder / "secrets.json").read_text())["gateway"]["STAFF_TOKEN"]
    files = {worker.name: folder / "config" / worker.name / ".dev.vars" for worker in PASAR.workers}
    assert files["gateway"].read_text() == f'STAFF_TOKEN="{secret}"\n'
    assert all(path.read_text() == "" for name, path in files.items() if name != "gateway")
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
    assert files["order_saga/saga.py"].resolve() == checkout.root / "workflows" / "order_saga" / "saga.py"
    assert not (folder / "config" / "product" / "src" / "order_saga").exists()


def test_without_reload_an_edit_does_not_reach_the_run(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout, link=False)
    write(checkout.root / "shared_kernel" / "money.py", "# edited")
    assert (folder / "config" / "order" / "src" / "shared_kernel" / "money.py").read_text() == "# money"


def test_files_that_came_or_went_are_shown_to_the_run(folder: Path, checkout: Checkout) -> None:
    written(folder, checkout)
    write(checkout.root / "shared_kernel" / "ids.py", "# new")
    (checkout.root / "shared_kernel" / "money.py").unlink()
    with held(folder) as state:
        link_new_sources(PASAR, checkout, state)
    shown = folder / "config" / "gateway" / "src" / "shared_kernel"
    assert [path.name for path in shown.iterdir()] == ["ids.py"]


def test_a_setting_is_changed_for_one_worker(folder: Path, checkout: Checkout) -> None:
    made = written(folder, checkout, "inventory.HOLD_SECONDS=3", "payment.SANDBOX=a=b")
    assert made["inventory"]["vars"]["HOLD_SECONDS"] == "3"
    assert made["payment"]["vars"]["SANDBOX"] == "a=b"
    assert written(folder, checkout)["inventory"]["vars"]["HOLD_SECONDS"] == "600"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("HOLD_SECONDS=3", "--set takes WORKER.VARIABLE=VALUE"),
        ("inventory.HOLD_SECONDS", "--set takes WORKER.VARIABLE=VALUE"),
        ("inventory.HOLD=3", "inventory has no variable 'HOLD'"),
        ("gateway.STAFF_TOKEN=easy", "gateway has no variable 'STAFF_TOKEN'"),
        ("stock.HOLD_SECONDS=3", "no Worker called 'stock'"),
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
