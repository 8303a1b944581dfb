"""What the topology looks like in the files that other tools read: wrangler.jsonc, pyproject.toml, the binding matrix.

`python -m wrangler.rendering` writes them; they are committed, so that `pywrangler dev` and `pywrangler deploy` work in
a service's folder. The top level of a wrangler.jsonc is the local environment. Hardly anything inherits from there
into `env`, so staging and production are spelled out in full.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from wrangler.topology import COMPATIBILITY_DATE, PASAR, VERSION
from wrangler.topology_model import (
    DEPLOYED,
    ENVIRONMENTS,
    Assets,
    Binding,
    Consumer,
    Environment,
    Quota,
    RateLimit,
    Secret,
    Topology,
    Worker,
    platform_name,
    producer_queues,
    rate_limit_namespace,
    subscribers,
    subscriptions,
    worker_name,
)

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json]"

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "wrangler" / "pins"
HEADER = "rendered from wrangler/topology.py by `python -m wrangler.rendering`: change it there"
LOCAL_BATCH_TIMEOUT_SECONDS = 1


def base_configuration(flags: tuple[str, ...] = ("python_workers",)) -> dict[str, Json]:
    """What every environment of a Worker shares."""
    return {
        "main": "src/entry.py",
        "compatibility_date": COMPATIBILITY_DATE,
        "compatibility_flags": list(flags),
    }


def environment_configuration(
    topology: Topology,
    worker: Worker,
    environment: Environment,
    overrides: Mapping[str, str] | None = None,
    root: str = "../..",
) -> dict[str, Json]:
    """Everything that wrangler has to know of a Worker in one environment; `overrides` replace plain variables.

    `root` is the checkout as it is seen from the configuration's folder.
    """
    secrets = worker.required_secrets(environment)
    section: dict[str, Json] = {
        "name": worker_name(worker.name, environment),
        "workers_dev": worker.public,
        "preview_urls": False,
        "observability": {"enabled": True} | _logs(worker),
        "vars": {**variables(topology, worker, environment), **(overrides or {})},
    }
    if secrets:
        section["secrets"] = {"required": list(secrets)}
    if worker.bindings:
        section["services"] = [_service(binding, environment) for binding in worker.bindings]
    if worker.rate_limits:
        section["ratelimits"] = [_rate_limit(worker, limit, environment) for limit in worker.rate_limits]
    if worker.assets is not None:
        section["assets"] = _assets(worker.assets, root)
    if worker.database is not None:
        section["d1_databases"] = [_database(worker, environment)]
    producers = producer_queues(topology, worker)
    if producers or worker.consumes:
        section["queues"] = {
            "producers": [
                {"binding": binding, "queue": platform_name(queue, environment)} for binding, queue in producers.items()
            ],
            "consumers": [_consumer(consumer, environment) for consumer in worker.consumes],
        }
    return section | _classes(worker, environment)


def _logs(worker: Worker) -> dict[str, Json]:
    """The address of a webhook may hold a secret, so what the platform itself writes of a request is not kept; the
    gateway's own log leaves the secret out."""
    return {"logs": {"enabled": True, "invocation_logs": False}} if worker.public else {}


def variables(topology: Topology, worker: Worker, environment: Environment) -> dict[str, Json]:
    """The plain variables of a Worker: who and where it is, who hears its events, its settings and rate limits."""
    values: dict[str, Json] = {"ENVIRONMENT": environment, "VERSION": VERSION, "SERVICE": worker.name}
    if worker.publishes:
        values["SUBSCRIPTIONS"] = json.dumps(subscriptions(topology, worker))
    values |= {setting.name: setting.value(environment) for setting in worker.settings}
    return values | {limit.variable: str(limit.quota(environment)) for limit in worker.rate_limits}


def _service(binding: Binding, environment: Environment) -> dict[str, Json]:
    entry: dict[str, Json] = {"binding": binding.name, "service": worker_name(binding.worker, environment)}
    # The class called Default is the default export, which the platform reaches by no name at all.
    return entry | ({} if binding.entrypoint == "Default" else {"entrypoint": binding.entrypoint})


def _assets(assets: Assets, root: str) -> dict[str, Json]:
    # The Worker answers every request itself: with html_handling a folder's name would be answered, which is a route of
    # the Worker's, and the router that else comes first fails at a thousand headers.
    return {
        "directory": f"{root}/{assets.folder}",
        "binding": assets.binding,
        "html_handling": "none",
        "run_worker_first": True,
    }


def _rate_limit(worker: Worker, limit: RateLimit, environment: Environment) -> dict[str, Json]:
    quota = limit.quota(environment)
    return {
        "name": limit.binding,
        "namespace_id": rate_limit_namespace(worker.name, limit, environment),
        "simple": {"limit": quota.limit, "period": quota.period_seconds},
    }


def _database(worker: Worker, environment: Environment) -> dict[str, Json]:
    assert worker.database is not None
    entry: dict[str, Json] = {
        "binding": worker.database.binding,
        "database_name": platform_name(worker.database.name, environment),
    }
    # A deployed database has no id here: wrangler looks it up by its name, and the same files serve any account.
    return entry | ({"database_id": worker.database.local_id} if environment == "local" else {})


def _consumer(consumer: Consumer, environment: Environment) -> dict[str, Json]:
    local = environment == "local"
    entry: dict[str, Json] = {
        "queue": platform_name(consumer.queue, environment),
        "max_batch_size": consumer.max_batch_size,
        "max_batch_timeout": LOCAL_BATCH_TIMEOUT_SECONDS if local else consumer.max_batch_timeout_seconds,
        "max_retries": consumer.max_retries,
    }
    if consumer.dead_letter_queue is not None:
        entry["dead_letter_queue"] = platform_name(consumer.dead_letter_queue, environment)
    return entry


def _classes(worker: Worker, environment: Environment) -> dict[str, Json]:
    section: dict[str, Json] = {}
    if worker.durable_objects:
        section["durable_objects"] = {
            "bindings": [{"name": one.binding, "class_name": one.class_name} for one in worker.durable_objects]
        }
        tags = dict.fromkeys(one.migration_tag for one in worker.durable_objects)
        section["migrations"] = [
            {
                "tag": tag,
                "new_sqlite_classes": [one.class_name for one in worker.durable_objects if one.migration_tag == tag],
            }
            for tag in tags
        ]
    if worker.workflows:
        section["workflows"] = [
            {"binding": one.binding, "name": platform_name(one.name, environment), "class_name": one.class_name}
            for one in worker.workflows
        ]
    if worker.crons:
        section["triggers"] = {"crons": list(worker.crons)}
    return section


def _build(worker: Worker) -> dict[str, Json]:
    # A package of the checkout must stand below the main module to be found: see wrangler/sources.py.
    sources = [f"{Path(package).name}=../../{package}" for package in worker.packages]
    command = f"python3 ../../wrangler/sources.py {' '.join(sources)}"
    if worker.assets is not None:
        command += " && PYTHONPATH=../.. python3 -P -m wrangler.assets"
    return {"command": command, "watch_dir": ["src", *(f"../../{package}" for package in worker.packages)]}


def wrangler_jsonc(topology: Topology, worker: Worker) -> str:
    """The committed configuration of a Worker."""
    document = {
        "$schema": "../../node_modules/wrangler/config-schema.json",
        **base_configuration(),
        "build": _build(worker),
        **environment_configuration(topology, worker, "local"),
        "env": {environment: environment_configuration(topology, worker, environment) for environment in DEPLOYED},
    }
    return f"// This file is {HEADER}.\n{json.dumps(document, indent=2)}\n"


def pinned(package: str, pins: Path = PINS) -> str:
    """The one requirement for `package` (as `name==version`) among the pins; LookupError when there is none."""
    for source in sorted(pins.glob("*.in")):
        for line in source.read_text().splitlines():
            if line.split("==")[0].strip() == package:
                return line.strip()
    raise LookupError(f"no pin for {package} in {pins}")


def vendored(pins: Path = PINS) -> list[str]:
    """The requirements that every Worker carries, without the SDK, which pywrangler adds by itself."""
    lines = (line.strip() for line in (pins / "worker.in").read_text().splitlines())
    return [line for line in lines if line and not line.startswith(("#", "workers-runtime-sdk=="))]


def pyproject_toml(worker: Worker) -> str:
    """The project file that pywrangler reads: what to vendor, and the tools that do it."""
    return "\n".join(
        (
            f"# This file is {HEADER}.",
            "[project]",
            f'name = "pasar-{worker.name}"',
            f'version = "{VERSION}"',
            'requires-python = ">=3.14"',
            f"dependencies = {json.dumps(vendored())}",
            "",
            "[dependency-groups]",
            f'dev = ["{pinned("workers-py")}", "{pinned("workers-runtime-sdk")}"]',
            "",
        )
    )


def bindings_md(topology: Topology) -> str:
    """The binding matrix: who calls whom, who owns what, and which event goes where."""
    lines = [
        "# Who binds to what",
        "",
        f"This page is {HEADER}.",
        "",
        "Calls are synchronous and go one way. A cell names the entrypoints that the row's Worker may call.",
        "",
    ]
    called = [
        one for one in topology.workers if any(b.worker == one.name for w in topology.workers for b in w.bindings)
    ]
    lines += _table(
        ["caller", *(one.name for one in called)],
        [
            [caller.name, *(_entrypoints(caller, target) for target in called)]
            for caller in topology.workers
            if caller.bindings
        ],
    )
    lines += ["", "## What each Worker has", ""]
    lines += _table(
        [
            *("Worker", "public", "database", "Durable Objects", "workflows", "consumes", "crons", "settings"),
            *("secrets", "optional secrets"),
        ],
        [_possessions(worker) for worker in topology.workers],
    )
    lines += ["", "A secret exists in every environment, unless the table says in which.", "", "## Rate limits", ""]
    lines += ["Requests in a period, for one caller and in one of Cloudflare's locations.", ""]
    lines += _rate_limits(topology)
    lines += ["", "## Events", ""]
    lines += _table(
        ["event", "published by", "heard by"],
        [
            [event, worker.name, ", ".join(subscribers(topology, event))]
            for worker in topology.workers
            for event in worker.publishes
        ],
    )
    return "\n".join(lines) + "\n"


def _entrypoints(caller: Worker, target: Worker) -> str:
    return ", ".join(binding.entrypoint for binding in caller.bindings if binding.worker == target.name)


def _possessions(worker: Worker) -> list[str]:
    return [
        worker.name,
        "yes" if worker.public else "",
        worker.database.name if worker.database else "",
        ", ".join(one.class_name for one in worker.durable_objects),
        ", ".join(one.name for one in worker.workflows),
        ", ".join(one.queue for one in worker.consumes),
        ", ".join(f"`{cron}`" for cron in worker.crons),
        ", ".join(one.name for one in worker.settings),
        ", ".join(map(_secret, worker.secrets)),
        ", ".join(worker.optional_secrets),
    ]


def _rate_limits(topology: Topology) -> list[str]:
    return _table(
        ["Worker", "binding", *ENVIRONMENTS],
        [
            [worker.name, limit.binding, *(_readable(limit.quota(environment)) for environment in ENVIRONMENTS)]
            for worker in topology.workers
            for limit in worker.rate_limits
        ],
    )


def _secret(secret: Secret) -> str:
    everywhere = secret.environments == ENVIRONMENTS
    return secret.name if everywhere else f"{secret.name} ({', '.join(secret.environments)})"


def _readable(quota: Quota) -> str:
    return f"{quota.limit} in {quota.period_seconds} s"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def rendered_files(topology: Topology) -> dict[str, str]:
    """Every committed file that follows from the topology: path below the checkout to content."""
    files = {"docs/bindings.md": bindings_md(topology)}
    for worker in topology.workers:
        files[f"services/{worker.name}/wrangler.jsonc"] = wrangler_jsonc(topology, worker)
        files[f"services/{worker.name}/pyproject.toml"] = pyproject_toml(worker)
    return files


def main() -> None:
    """Writes every rendered file into the checkout."""
    for path, content in rendered_files(PASAR).items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        print(path)


if __name__ == "__main__":
    main()
