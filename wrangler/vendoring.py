"""Vendoring: decides which Python packages every Worker carries, and for which platform their wheels are.

`pywrangler sync` does this through a Pyodide interpreter that is downloaded from outside the package registries; pip
takes the same wheels by the name of their platform.
"""

import shutil

from wrangler.checkout import Checkout, replace_folder
from wrangler.commands import run
from wrangler.host import pip_command

# The platform of Pyodide 314, which is CPython 3.14.
PLATFORM = "pyemscripten_2026_0_wasm32"
PYTHON_VERSION = "3.14"


def install(checkout: Checkout) -> None:
    """Make `.pasar/python_modules` hold the pinned packages, each checked against its hash.

    The folder is complete or absent. Raises `SetupFailed` when a package cannot be installed.
    """
    partial = checkout.made / "python_modules.partial"
    shutil.rmtree(partial, ignore_errors=True)
    run(
        [
            *pip_command(checkout),
            *["install", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-compile"],
            # The pins are complete, and leave out on purpose what a package asks for but has no wheel for a Worker.
            "--no-deps",
            *["--only-binary=:all:", "--platform", PLATFORM, "--implementation", "cp"],
            *["--python-version", PYTHON_VERSION, "--target", str(partial)],
            *["-r", str(checkout.pins / "worker.txt")],
        ],
        "downloading the Workers' Python packages",
        checkout.made / "log" / "vendoring.txt",
    )
    # Programs of the packages are of no use in a Worker.
    shutil.rmtree(partial / "bin", ignore_errors=True)
    # wrangler takes a folder of vendored packages only for one with this file.
    (partial / "pyvenv.cfg").touch()
    replace_folder(partial, checkout.python_modules)
