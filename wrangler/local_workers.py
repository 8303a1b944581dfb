"""The Workers as a local run sees them: decides what stands in `<state>/config`, one folder for each Worker.

wrangler wants a Worker's sources, vendored packages and secrets around its configuration; nothing of that belongs into
the service's own folder, because two runs may go on at once.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from wrangler.checkout import Checkout
from wrangler.rendering import base_configuration, environment_configuration, variables
from wrangler.snapshot import LOCAL_FLAGS
from wrangler.sources import mirror
from wrangler.state import State, dotenv, write_private
from wrangler.topology_model import Quota, Topology, TopologyError, Worker
from wrangler.topology_rules import check_quota

Overrides = Mapping[str, Mapping[str, str]]

_MOST_LOOKS = 10


def parse_overrides(topology: Topology, settings: list[str]) -> dict[str, dict[str, str]]:
    """The values of `--set WORKER.VARIABLE=VALUE` by Worker; TopologyError for a variable that there is not.

    A rate limit is set by the name of its binding (`gateway.LIMIT_SIGN_IN=5;60`), which changes its variable too.
    """
    overrides: dict[str, dict[str, str]] = {}
    for setting in settings:
        target, equals, value = setting.partition("=")
        name, dot, variable = target.partition(".")
        if not equals or not dot:
            raise TopologyError(f"--set takes WORKER.VARIABLE=VALUE, not {setting!r}")
        worker = topology.worker(name)
        limits = {limit.binding: limit.variable for limit in worker.rate_limits}
        known = [*(variables(topology, worker, "local").keys() - limits.values()), *limits]
        if variable not in known:
            raise TopologyError(f"{name} has no variable {variable!r}; it has {', '.join(sorted(known))}")
        if variable in limits:
            _parse_quota(value, target)
        overrides.setdefault(name, {})[variable] = value
    return overrides


def _parse_quota(text: str, name: str) -> Quota:
    parts = re.fullmatch(r"([0-9]{1,9});([0-9]{1,9})", text)
    if parts is None:
        raise TopologyError(f"{name} takes a limit and a period in seconds, such as 5;60, not {text!r}")
    quota = Quota(int(parts[1]), int(parts[2]))
    check_quota(quota, name)
    return quota


def _with_quotas(worker: Worker, overrides: Mapping[str, str]) -> Worker:
    """The Worker with the rate limits of a run in the place of its own."""
    chosen = {
        limit.binding: _parse_quota(overrides[limit.binding], limit.binding)
        for limit in worker.rate_limits
        if limit.binding in overrides
    }
    limits = (replace(limit, local=chosen.get(limit.binding, limit.local)) for limit in worker.rate_limits)
    return replace(worker, rate_limits=tuple(limits))


def write_workers(
    topology: Topology, checkout: Checkout, state: State, overrides: Overrides, *, optional_secrets: bool
) -> list[Path]:
    """Write the folder of every Worker and give their configurations, the public Worker's first: it gets the port.

    The Workers get their optional secrets only when they are to have them. Raises FileNotFoundError when a service has
    no sources.
    """
    secrets = state.secrets(topology)
    public_first = sorted(topology.workers, key=lambda worker: not worker.public)
    return [
        _write_worker(
            topology,
            worker,
            checkout,
            _folder(worker, state),
            overrides.get(worker.name, {}),
            {
                name: value
                for name, value in secrets.get(worker.name, {}).items()
                if optional_secrets or name in worker.required_secrets("local")
            },
        )
        for worker in public_first
    ]


def follow_sources(topology: Topology, checkout: Checkout, state: State) -> bool:
    """Make the Workers' folders what the sources are by now, for wrangler to see; whether anything had changed.

    What is saved in the middle of a look has reached some Workers and not others, so it looks again after a change.
    """
    for look in range(_MOST_LOOKS):
        if not _changed(topology, checkout, state):
            return look > 0
    return True


def _changed(topology: Topology, checkout: Checkout, state: State) -> bool:
    changed = False
    for worker in topology.workers:
        # In the middle of a change of branch a folder may be gone for a moment; the next look finds it again.
        with contextlib.suppress(FileNotFoundError):
            changed |= mirror(_sources(worker, checkout), _folder(worker, state) / "src")
    return changed


def _folder(worker: Worker, state: State) -> Path:
    return state.folder / "config" / worker.name


def _sources(worker: Worker, checkout: Checkout) -> dict[str, Path]:
    packages = {Path(package).name: checkout.root / package for package in worker.packages}
    return {"": checkout.root / "services" / worker.name / "src", **packages}


def _write_worker(
    topology: Topology,
    worker: Worker,
    checkout: Checkout,
    folder: Path,
    overrides: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Path:
    mirror(_sources(worker, checkout), folder / "src")
    vendored = folder / "python_modules"
    vendored.unlink(missing_ok=True)
    vendored.symlink_to(checkout.python_modules)
    # Without this file wrangler would take secrets and variables from the environment of whoever started the run.
    write_private(folder / ".dev.vars", dotenv(secrets))
    bindings = {limit.binding for limit in worker.rate_limits}
    of_variables = {name: value for name, value in overrides.items() if name not in bindings}
    configuration = {
        **base_configuration(LOCAL_FLAGS),
        **environment_configuration(
            topology, _with_quotas(worker, overrides), "local", of_variables, str(checkout.root)
        ),
    }
    path = folder / "wrangler.jsonc"
    path.write_text(json.dumps(configuration, indent=2))
    return path
