import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.wrangler.workerd_double import checkout_with
from wrangler import launcher
from wrangler.checkout import Checkout, ToolMissing


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = checkout_with(tmp_path / "a folder's name", 'printf "%s\\n" "$@"')
    launcher.write(made)
    return made


def launch(checkout: Checkout, *arguments: str, **settings: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], **settings}
    command = [str(checkout.launcher), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()


def save_snapshot(checkout: Checkout) -> None:
    checkout.snapshot_folder.mkdir()
    (checkout.snapshot_folder / "snapshot.bin").touch()


def test_serve_gets_the_bundle_before_the_other_arguments(checkout: Checkout) -> None:
    assert launch(checkout, "serve", "--binary", "an argument", "-") == [
        "serve",
        f"--pyodide-bundle-disk-cache-dir={checkout.bundle_folder}",
        "--binary",
        "an argument",
        "-",
    ]


def test_snapshot_is_loaded_when_there_is_one(checkout: Checkout) -> None:
    save_snapshot(checkout)
    flags = [f"--python-snapshot-dir={checkout.snapshot_folder}", "--python-load-snapshot=snapshot.bin"]
    assert launch(checkout, "serve", "-")[2:] == [*flags, "-"]


def test_snapshot_can_be_switched_off(checkout: Checkout) -> None:
    save_snapshot(checkout)
    assert launch(checkout, "serve", "-", PASAR_SNAPSHOT="off")[2:] == ["-"]


def test_direct_port_replaces_the_port_of_the_workers_alone(checkout: Checkout) -> None:
    workers = launch(checkout, "serve", "--socket-addr=entry=127.0.0.1:0", PASAR_DIRECT_PORT="8917")
    proxy = launch(checkout, "serve", "--socket-addr=entry=localhost:8787", PASAR_DIRECT_PORT="8917")
    assert (workers[2:], proxy[2:]) == (["--socket-addr=entry=127.0.0.1:8917"], ["--socket-addr=entry=localhost:8787"])


def test_other_commands_of_workerd_pass_unchanged(checkout: Checkout) -> None:
    assert launch(checkout, "--version") == ["--version"]


def test_platform_without_workerd_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="0 workerd programs"):
        launcher.write(Checkout(tmp_path))
