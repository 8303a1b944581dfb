"""The static assets: decides which files the gateway serves without Python, and puts them into one folder.

They are the parts of an npm package that the page at `/docs` needs, so that it needs no foreign host. Set-up collects
them, and so does the `build` command of the gateway's `wrangler.jsonc`.
"""

import filecmp
import shutil
import sys
from pathlib import Path

from wrangler.checkout import CHECKOUT, Checkout, replace_folder
from wrangler.commands import SetupFailed

PACKAGE = "swagger-ui-dist"
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE")


def collect(checkout: Checkout) -> None:
    """Make `.pasar/assets` hold exactly these files, in `docs`.

    What is right already is not touched, so a watcher comes to rest. Raises `SetupFailed` when a file is missing.
    """
    wanted = {Path("docs", name): checkout.node_modules / PACKAGE / name for name in FILES}
    for source in wanted.values():
        if not source.is_file():
            raise SetupFailed(f"there is no {source}; `npm ci --ignore-scripts` in {checkout.root} installs it")
    if _holds(checkout.assets, wanted):
        return
    partial = checkout.made / "assets.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for place, source in wanted.items():
        (partial / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial / place)
    replace_folder(partial, checkout.assets)


def _holds(folder: Path, wanted: dict[Path, Path]) -> bool:
    there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return there == wanted.keys() and all(
        filecmp.cmp(folder / place, source, shallow=False) for place, source in wanted.items()
    )


def main() -> int:
    """Collect the files of this checkout; a failure is a sentence on standard error and status 1."""
    try:
        collect(CHECKOUT)
    except (SetupFailed, OSError) as error:
        print(f"pasar: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
