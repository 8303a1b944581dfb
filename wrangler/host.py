"""The host's tools: decides how the virtual environment and the npm packages come to be.

python3 and pip are enough. Debian leaves `ensurepip` out of python3, so the environment is made without pip and the
machine's pip installs into it; where there is no pip, but `ensurepip`, the environment gets its own.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from wrangler.checkout import Checkout
from wrangler.commands import SetupFailed, run


def machine_python() -> str:
    """The interpreter outside of any virtual environment, so that ours can be made again from within itself."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def has_machine_pip() -> bool:
    """Whether `machine_python` has a pip."""
    probe = [machine_python(), "-c", "import pip"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def pip_command(checkout: Checkout) -> list[str]:
    """The start of a command line for a pip that can install into any folder."""
    return [machine_python() if has_machine_pip() else str(checkout.python), "-m", "pip"]


def make_venv(checkout: Checkout) -> None:
    """Make `.venv` anew and install the pinned packages, each checked against its hash.

    Raises `SetupFailed` when the machine has no pip, or something cannot be installed.
    """
    machine_pip = has_machine_pip()
    if not machine_pip and importlib.util.find_spec("ensurepip") is None:
        raise SetupFailed("python3 has no pip: install it (on Debian: apt-get install python3-pip) and start again")
    make = [machine_python(), "-m", "venv", "--clear", *(["--without-pip"] if machine_pip else []), str(checkout.venv)]
    log = checkout.made / "log" / "venv.txt"
    run(make, "making the virtual environment", log)
    target = ["--python", str(checkout.python)] if machine_pip else []
    install = ["install", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    pins = ["-r", str(checkout.pins / "host.txt")]
    run([*pip_command(checkout), *target, *install, *pins], "downloading and installing the Python packages", log)


def install_npm_packages(checkout: Checkout) -> None:
    """Make `node_modules` exactly what `package-lock.json` says. Raises `SetupFailed` when that cannot be done."""
    # No package's install script runs: those of workerd and esbuild only replace a small start script by the program.
    options = ["--ignore-scripts", "--no-audit", "--no-fund"]
    run(
        [*checkout.npm_command(), "ci", *options],
        "downloading and installing the npm packages",
        checkout.made / "log" / "npm.txt",
        cwd=checkout.root,
        environment={**checkout.node_environment(), **_npm_cache(checkout)},
    )


def _npm_cache(checkout: Checkout) -> dict[str, str]:
    """npm keeps downloads in the home directory and fails without one that it may write to; then it gets ours."""
    if os.access(Path("~").expanduser(), os.W_OK):
        return {}
    return {"npm_config_cache": str(checkout.made / "npm-cache")}
