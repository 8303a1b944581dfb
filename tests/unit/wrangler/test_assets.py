"""The files that the gateway serves as they are."""

from pathlib import Path

import pytest

from tests.unit.wrangler.fake_checkout import write
from wrangler.assets import FILES, PACKAGE, collect
from wrangler.checkout import Checkout
from wrangler.commands import SetupFailed


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with the npm package, whose files are more than are needed."""
    for name in (*FILES, "index.html", "swagger-ui.js.map"):
        write(tmp_path / "node_modules" / PACKAGE / name, f"the {name}")
    return Checkout(tmp_path)


def served(checkout: Checkout) -> dict[str, str]:
    """Every file by its address."""
    paths = (path for path in checkout.assets.rglob("*") if path.is_file())
    return {path.relative_to(checkout.assets).as_posix(): path.read_text() for path in paths}


def test_only_what_the_page_needs_is_served_with_the_licence(checkout: Checkout) -> None:
    collect(checkout)
    assert served(checkout) == {f"docs/{name}": f"the {name}" for name in FILES}
    assert {"LICENSE", "NOTICE"} <= set(FILES)


def test_a_file_that_is_no_longer_wanted_is_served_no_more(checkout: Checkout) -> None:
    collect(checkout)
    write(checkout.assets / "_headers", "of an earlier version")
    collect(checkout)
    assert "_headers" not in served(checkout)


def test_what_is_right_already_is_not_touched(checkout: Checkout) -> None:
    collect(checkout)
    before = checkout.assets.stat().st_ino
    collect(checkout)
    assert checkout.assets.stat().st_ino == before
    write(checkout.node_modules / PACKAGE / "NOTICE", "another")
    collect(checkout)
    assert served(checkout)["docs/NOTICE"] == "another"


def test_a_package_without_a_file_is_refused_and_what_was_there_stays(checkout: Checkout) -> None:
    collect(checkout)
    (checkout.node_modules / PACKAGE / "swagger-ui.css").unlink()
    with pytest.raises(SetupFailed, match=r"no .*/swagger-ui\.css; `npm ci --ignore-scripts` in .* installs it"):
        collect(checkout)
    assert "docs/swagger-ui.css" in served(checkout)
