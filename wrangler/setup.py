"""Set-up: decides what a checkout needs before a Worker can run, and when each part must be made again.

Run it with the machine's python3 (`scripts/setup.sh` does); it needs nothing but the standard library and pip. Each
step is skipped while its inputs are what they were when it last ended well.
"""

import fcntl
import hashlib
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wrangler import assets, host, launcher, pyodide_bundle, snapshot, vendoring
from wrangler.checkout import CHECKOUT, Checkout, ToolMissing
from wrangler.commands import SetupFailed
from wrangler.topology import COMPATIBILITY_DATE

# What can go wrong for a reason that its text tells; anything else is a fault of this program.
FAILURES = (SetupFailed, ToolMissing, pyodide_bundle.BundleRefused, OSError)


@dataclass(frozen=True)
class Step:
    """One part of set-up: what it makes, and everything that what it makes depends on."""

    name: str
    makes: tuple[Path, ...]
    files: tuple[Path, ...]
    facts: tuple[str, ...]
    run: Callable[[], object]
    required: bool = True


def steps(checkout: Checkout) -> list[Step]:
    """The steps in the order in which they must run."""
    return [*_installations(checkout), *_runtime(checkout), _assets(checkout)]


def _machine(checkout: Checkout) -> tuple[str, ...]:
    return (platform.system(), platform.machine(), str(checkout.root), sys.version, host.machine_python())


def _installations(checkout: Checkout) -> list[Step]:
    machine = _machine(checkout)
    return [
        Step(
            "Python packages (.venv)",
            (checkout.python, checkout.node_folder / "node"),
            (checkout.pins / "host.txt", checkout.root / "wrangler/host.py"),
            machine,
            lambda: host.make_venv(checkout),
        ),
        Step(
            "npm packages (node_modules)",
            (checkout.node_modules / "wrangler", checkout.node_modules / "pyodide"),
            (checkout.root / "package.json", checkout.root / "package-lock.json", checkout.root / ".npmrc"),
            machine[:2],
            lambda: host.install_npm_packages(checkout),
        ),
    ]


def _runtime(checkout: Checkout) -> list[Step]:
    code = checkout.root / "wrangler"
    lock = checkout.root / "package-lock.json"
    machine = _machine(checkout)
    vendored = (checkout.pins / "worker.txt", code / "vendoring.py")
    bundled = (lock, code / "pyodide_bundle.py")
    return [
        Step(
            "Python runtime for workerd",
            (checkout.bundle_folder / pyodide_bundle.BUNDLE_FILE,),
            bundled,
            (),
            lambda: pyodide_bundle.build(checkout.node_modules / "pyodide", checkout.bundle_folder),
        ),
        Step(
            "packages of the Workers",
            (checkout.python_modules / "pyvenv.cfg",),
            vendored,
            (),
            lambda: vendoring.install(checkout),
        ),
        Step(
            "launcher of workerd",
            (checkout.launcher,),
            (lock, code / "launcher.py"),
            machine[:3],
            lambda: launcher.write(checkout),
        ),
        Step(
            "memory snapshot",
            (checkout.snapshot_folder / snapshot.SNAPSHOT_FILE,),
            (*vendored, *bundled, code / "snapshot.py"),
            (*machine[:2], COMPATIBILITY_DATE),
            lambda: snapshot.make(checkout, COMPATIBILITY_DATE),
            required=False,
        ),
    ]


def _assets(checkout: Checkout) -> Step:
    return Step(
        "files that are served as they are",
        (checkout.assets,),
        (checkout.root / "package-lock.json", checkout.root / "wrangler/assets.py"),
        (),
        lambda: assets.collect(checkout),
    )


def digest(step: Step) -> str:
    """What the result of `step` depends on, as one hash. Raises `SetupFailed` when one of its files is missing."""
    hashed = hashlib.sha256(repr((step.name, step.facts)).encode())
    for path in step.files:
        try:
            hashed.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise SetupFailed(f"the checkout is not complete: {path} cannot be read ({error.strerror})") from error
    return hashed.hexdigest()


def is_done(step: Step, stamp: Path) -> bool:
    """Whether `step` ended well with the inputs that it has now, and what it made is still there."""
    return all(path.exists() for path in step.makes) and stamp.is_file() and stamp.read_text() == digest(step)


def perform(step: Step, stamp: Path) -> None:
    """Do `step` and stamp it. Raises one of `FAILURES` when it fails and is required; else its failure is one line."""
    # The old stamp goes first: with it, a step that is interrupted half-way would look done once its inputs are what
    # they were before.
    stamp.unlink(missing_ok=True)
    inputs = digest(step)
    print(f"set-up: {step.name}", flush=True)
    try:
        step.run()
    except FAILURES as error:
        if step.required:
            raise
        print(f"set-up: going on without the {step.name}: {error}", flush=True)
        return
    partial = stamp.with_suffix(".partial")
    partial.write_text(inputs)
    os.replace(partial, stamp)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold the file lock of this checkout's set-up; a second set-up waits for the first to end."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: waiting for another set-up of this checkout to end", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_up(checkout: Checkout) -> None:
    """Do every step that is not done. Raises one of `FAILURES`, whose text says what is missing."""
    stamps = checkout.made / "stamps"
    with locked(checkout.made / "setup.lock"):
        stamps.mkdir(exist_ok=True)
        for number, step in enumerate(steps(checkout), start=1):
            stamp = stamps / f"{number}"
            if not is_done(step, stamp):
                perform(step, stamp)


def main() -> int:
    """Set up this checkout; the exit code is 0 when Workers can run."""
    # A child that is left running would go on writing where the next set-up writes; an interrupt ends it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        set_up(CHECKOUT)
    except FAILURES as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; the next start goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
