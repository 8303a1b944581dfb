"""A deployment: what is done, in which order, and where it stops."""

import io
import shlex
import sys
from pathlib import Path

import pytest

from tests.unit.wrangler.fake_checkout import fake_checkout
from wrangler.checkout import Checkout
from wrangler.deploy import (
    Command,
    DeployFailed,
    Options,
    check_secrets,
    execute,
    main,
    parse_options,
    place_packages,
    plan,
)
from wrangler.topology import PASAR
from wrangler.topology_model import Environment

ROOT = Path("/checkout")
CHECKOUT = Checkout(ROOT)


def planned(
    environment: Environment = "production", secrets: Path | None = None, pywrangler: bool = False
) -> list[str]:
    """The plan as one reads it: folder, then what wrangler is asked for."""
    wrangler = f"{shlex.join(CHECKOUT.wrangler_command())} "
    options = Options(environment, secrets, pywrangler, dry_run=False)
    return [
        f"{command.folder.relative_to(ROOT)}: {shlex.join(command.arguments).replace(wrangler, '')}"
        for command in plan(PASAR, CHECKOUT, options)
    ]


def test_queues_then_databases_then_workers_leaves_first() -> None:
    assert planned() == [
        ".: queues create order-inbox",
        ".: queues create order-dlq",
        ".: d1 create pasar-product",
        "services/product: d1 migrations apply pasar-product --env production --remote",
        ".: d1 create pasar-inventory",
        "services/inventory: d1 migrations apply pasar-inventory --env production --remote",
        ".: d1 create pasar-payment",
        "services/payment: d1 migrations apply pasar-payment --env production --remote",
        ".: d1 create pasar-user",
        "services/user: d1 migrations apply pasar-user --env production --remote",
        ".: d1 create pasar-order",
        "services/order: d1 migrations apply pasar-order --env production --remote",
        "services/product: deploy --env production",
        "services/inventory: deploy --env production",
        "services/payment: deploy --env production",
        "services/user: deploy --env production",
        "services/order: deploy --env production",
        "services/gateway: deploy --env production",
    ]


def test_staging_touches_nothing_of_production() -> None:
    named = {word for line in planned("staging") for word in line.split() if "pasar-" in word or "order-" in word}
    assert named
    assert all(name.endswith("-staging") for name in named)
    assert not any("--env production" in line for line in planned("staging"))


def test_what_exists_is_not_created() -> None:
    created = [one for one in plan(PASAR, CHECKOUT, parse_options(["--env", "staging"])) if "create" in one.arguments]
    assert [one.unless[-2:] for one in created if one.unless] == [("info", one.arguments[-1]) for one in created]


def test_secrets_go_to_the_worker_that_has_some() -> None:
    given = [line for line in planned(secrets=Path("/safe")) if "--secrets-file" in line]
    assert given == ["services/user: deploy --env production --secrets-file /safe/user.env"]


def test_pywrangler_deploys_where_it_is_asked_to() -> None:
    deployments = [line for line in planned(pywrangler=True) if " deploy " in line]
    assert len(deployments) == len(PASAR.workers)
    assert all("/checkout/.venv/bin/pywrangler deploy --env production" in line for line in deployments)


def test_a_command_is_skipped_when_what_it_makes_is_there() -> None:
    done: list[str] = []

    def run(command: tuple[str, ...], _: Path) -> int:
        done.append(command[0])
        return 1 if command == ("missing?",) else 0

    execute([Command(("make",), ROOT, unless=("missing?",)), Command(("make again",), ROOT, unless=("there?",))], run)
    assert done == ["missing?", "make", "there?"]


def test_nothing_is_done_after_a_failure() -> None:
    done: list[str] = []

    def run(command: tuple[str, ...], _: Path) -> int:
        done.append(command[0])
        return 2 if command[0] == "migrate" else 0

    commands = [Command((name,), ROOT) for name in ("create", "migrate", "deploy")]
    with pytest.raises(DeployFailed, match=r"migrate.* ended with status 2; nothing after it was done"):
        execute(commands, run)
    assert done == ["create", "migrate"]


def test_a_printed_command_is_a_line_for_the_shell() -> None:
    command = Command(("make", "a b"), Path("/some where"), unless=("look", "a b"))
    assert str(command) == "(cd '/some where' && look 'a b' || make 'a b')"


def test_a_dry_run_prints_every_command_and_runs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "staging", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(planned("staging"))
    assert lines[-1].endswith("deploy --env staging)")


def test_a_missing_file_of_secrets_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(
        DeployFailed, match=r"user\.env is missing; it holds a line NAME=value for each of SIGNING_KEY_SECRET"
    ):
        check_secrets(PASAR, tmp_path, "production")
    (tmp_path / "user.env").write_text("SIGNING_KEY_SECRET=x\n")
    check_secrets(PASAR, tmp_path, "production")


@pytest.mark.parametrize("arguments", [[], ["--env", "local"], ["--env", "test"]])
def test_only_a_deployed_environment_can_be_deployed(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2


def test_the_tested_packages_are_deployed_unless_pywrangler_installs_its_own(tmp_path: Path) -> None:
    checkout = fake_checkout(tmp_path)
    place = tmp_path / "services" / "order" / "python_modules"
    place_packages(PASAR, checkout, pywrangler=False)
    place_packages(PASAR, checkout, pywrangler=False)
    assert place.readlink() == checkout.python_modules
    place_packages(PASAR, checkout, pywrangler=True)
    assert not place.is_symlink()
    place.mkdir()
    with pytest.raises(DeployFailed, match="was made by pywrangler"):
        place_packages(PASAR, checkout, pywrangler=False)


def test_ctrl_c_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(io.StringIO):
        def write(self, _text: str) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdout", Interrupted())
    assert main(["--env", "staging", "--dry-run"]) == 130
    assert capsys.readouterr().err == "\npasar: interrupted; the next deployment completes this one\n"
