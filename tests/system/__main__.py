"""Runs the system tests, several at a time, against one system: `python -m tests.system [pytest's options]`.

The tests mostly wait: for holds that end, for crons, for events. So a few processes share the one running system. Those
marked `untouched` run before the others, because they hold that nothing changes; those marked `alone` after them.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.wedged import assert_never_wedged
from wrangler import running
from wrangler.state import CONNECTION

PROCESSES = 4
NO_TESTS = 5


def run(options: list[str], state: Path) -> int:
    """The exit status of pytest with these options, on the system of this state directory."""
    environment = {**os.environ, "PASAR_CONNECTION": str(state / CONNECTION)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/system", *options]
    return subprocess.run(command, env=environment, check=False).returncode


def main(options: list[str]) -> int:
    """0 when every test passed; the system is stopped in any case."""
    with tempfile.TemporaryDirectory(prefix="pasar-system-") as folder:
        state = Path(folder) / "state"
        with running.started(state, ["--no-sample"], Path(folder) / "system.log"):
            together = ["-n", str(PROCESSES), "--no-loadscope-reorder"]
            phases = (["-m", "untouched"], [*together, "-m", "not untouched and not alone"], ["-m", "alone"])
            statuses = [run([*phase, *options], state) for phase in phases]
        assert_never_wedged(state)
    return next((status for status in statuses if status not in (0, NO_TESTS)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
