"""What is installed is what was pinned: every file by its hash, and by no address."""

import json
import re
from typing import Any

import pytest

from wrangler.checkout import CHECKOUT
from wrangler.pyodide_bundle import PYODIDE_VERSION

PINS = ("host.txt", "worker.txt")


def pins(name: str) -> dict[str, list[str]]:
    """Each pinned `name==version` of a requirements file with its hashes."""
    found: dict[str, list[str]] = {}
    for line in (CHECKOUT.pins / name).read_text().splitlines():
        if pin := re.match(r"([a-z0-9-]+==[^ ]+)", line):
            hashes = found.setdefault(pin[1], [])
        elif digest := re.match(r" +--hash=sha256:([0-9a-f]{64})( \\)?$", line):
            hashes.append(digest[1])
        else:
            assert line.lstrip().startswith("#"), f"{name} holds an option: {line}"
    return found


def lock() -> dict[str, Any]:
    packages: dict[str, Any] = json.loads((CHECKOUT.root / "package-lock.json").read_text())["packages"]
    return packages


@pytest.mark.parametrize("name", PINS)
def test_every_python_package_has_a_version_and_hashes(name: str) -> None:
    assert pins(name)
    assert [pin for pin, hashes in pins(name).items() if not hashes] == []


@pytest.mark.parametrize("name", [*PINS, "../../package-lock.json"])
def test_lock_names_no_address_to_download_from(name: str) -> None:
    text = (CHECKOUT.pins / name).read_text()
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)|\"resolved\"|\.whl|\.tgz", text)


def test_host_runs_the_pydantic_of_the_workers() -> None:
    assert set(pins("worker.txt")) <= set(pins("host.txt"))


def test_npm_installs_the_pyodide_that_the_bundle_knows() -> None:
    assert json.loads((CHECKOUT.root / "package.json").read_text())["devDependencies"]["pyodide"] == PYODIDE_VERSION


def test_lock_names_workerd_for_every_platform() -> None:
    """`npm ci` refuses a lock without one of them, and npm leaves out those that its registry lacks that day.

    Such an entry is added by hand, as its neighbours are but without `integrity`.
    """
    packages = lock()
    wanted = packages["node_modules/workerd"]["optionalDependencies"]
    locked = {name: packages.get(f"node_modules/{name}", {}).get("version") for name in wanted}
    assert locked == wanted


def test_every_npm_package_that_linux_installs_has_its_hash() -> None:
    without = [
        name
        for name, package in lock().items()
        if name and "linux" in package.get("os", ["linux"]) and "integrity" not in package
    ]
    assert without == []
