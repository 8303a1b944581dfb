"""Running a program that set-up needs: decides what a failure of one says.

The output goes to a file, so that a long installation shows one line, and a failure shows what mattered of it.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_DEFAULT_TIMEOUT_SECONDS = 1200


class SetupFailed(Exception):
    """Set-up cannot go on; the message is one sentence for the person who started it."""


def run(
    command: Sequence[str],
    purpose: str,
    log: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS,
) -> None:
    """Run `command` to its end with its output in `log`.

    Raises `SetupFailed` with `purpose`, the last line that names an error and the place of the log when it cannot be
    started, does not succeed, or takes longer than `timeout_seconds`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            ended = subprocess.run(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                check=False,
            )
        except OSError as error:
            raise SetupFailed(f"{purpose} failed: {command[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise SetupFailed(f"{purpose} did not end within {timeout_seconds:.0f} seconds; see {log}") from error
    if ended.returncode != 0:
        raise SetupFailed(f"{purpose} failed: {telling_line(log)} (the whole output is in {log})")


def telling_line(log: Path) -> str:
    """The line of a program's output that says most about its failure: the first error, or else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and "warning" not in line.lower()]
    return (errors or lines[-1:] or ["it said nothing"])[0]
