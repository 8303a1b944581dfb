"""The demonstration, run as a reader of the README would run it."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.system.shop import Shop
from wrangler import running


def _demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wrangler.demo", *options]
    return subprocess.run(command, cwd=running.ROOT, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.usefixtures("filled")
def test_demo_ends_each_order_as_it_must(shop: Shop) -> None:
    demo = _demo("--url", shop.url)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for word in ("OrderConfirmed", "payment_declined", "InventoryReleased", "insufficient_inventory"):
        assert word in demo.stdout


def test_demo_without_a_shop_fails_with_one_sentence() -> None:
    demo = _demo("--url", "http://127.0.0.1:1")
    assert demo.returncode == 1
    assert demo.stderr.startswith("demo: the shop does not answer")
    assert len(demo.stderr.splitlines()) == 1


def test_demo_starts_a_shop_where_none_runs_and_stops_it(tmp_path: Path) -> None:
    demo = _demo("--state", str(tmp_path / "none"))
    assert demo.returncode == 0, demo.stdout + demo.stderr
    url = next(line for line in demo.stdout.splitlines() if line.startswith("Pasar at ")).removeprefix("Pasar at ")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
