"""What a topology can say: Workers, bindings, databases, queues, subscriptions, and the names they get.

Names on the platform depend on the environment; what a producer feeds follows from who subscribes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Environment = Literal["local", "staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
DEPLOYED: tuple[Environment, ...] = ("staging", "production")

EVERY_MINUTE = "* * * * *"
# Cloudflare Queues, limits. Behind a dead letter there is no other queue, so it is tried for as long as can be.
MOST_RETRIES = 100


class TopologyError(ValueError):
    """The topology cannot work; the message says which rule it breaks and where."""


@dataclass(frozen=True)
class Binding:
    """A synchronous way from one Worker to one entrypoint of another."""

    name: str
    worker: str
    entrypoint: str = "Default"


@dataclass(frozen=True)
class Consumer:
    """A queue that a Worker consumes; the figures are architecture.md's and are set because local defaults differ."""

    queue: str
    dead_letter_queue: str | None = None
    max_batch_size: int = 10
    max_batch_timeout_seconds: int = 5
    max_retries: int = 3


@dataclass(frozen=True)
class Database:
    """A D1 database. Wrangler finds or makes a deployed one by its name; a local one is told apart by `local_id`."""

    name: str
    local_id: str
    binding: str = "DB"


@dataclass(frozen=True)
class DurableObject:
    """A Durable Object class with SQLite storage that a Worker exports, and the migration that introduced it."""

    binding: str
    class_name: str
    migration_tag: str


@dataclass(frozen=True)
class Workflow:
    """A Workflow class that a Worker exports."""

    binding: str
    name: str
    class_name: str


@dataclass(frozen=True)
class Setting:
    """A plain variable with its value in each environment."""

    name: str
    local: str
    staging: str
    production: str

    def value(self, environment: Environment) -> str:
        """The value in `environment`."""
        return {"local": self.local, "staging": self.staging, "production": self.production}[environment]


@dataclass(frozen=True)
class Assets:
    """Files that the platform serves without asking the Worker, in a folder of the checkout that set-up makes."""

    binding: str
    folder: str


@dataclass(frozen=True)
class Secret:
    """A secret that a Worker cannot do without, in the environments in which it exists."""

    name: str
    environments: tuple[Environment, ...] = ENVIRONMENTS


class Quota(NamedTuple):
    """How often something may happen within a period; its text is `100;60`."""

    limit: int
    period_seconds: int

    def __str__(self) -> str:
        return f"{self.limit};{self.period_seconds}"


@dataclass(frozen=True)
class RateLimit:
    """A rate limit that a Worker asks, with its quota in each environment.

    The platform counts for each key, in each of its locations apart, and tells the Worker only yes or no. So the Worker
    also gets the quota, as a plain variable.
    """

    binding: str
    local: Quota
    staging: Quota
    production: Quota

    @property
    def variable(self) -> str:
        """The variable that tells the Worker the quota."""
        return f"{self.binding}_QUOTA"

    def quota(self, environment: Environment) -> Quota:
        """The quota in `environment`."""
        return {"local": self.local, "staging": self.staging, "production": self.production}[environment]


@dataclass(frozen=True)
class Worker:
    """One service. `packages` are the folders of the checkout that it imports besides its own code.

    It cannot do without its secrets; without an optional one it lacks what that is for.
    """

    name: str
    entrypoints: tuple[str, ...] = ("Default",)
    bindings: tuple[Binding, ...] = ()
    database: Database | None = None
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    consumes: tuple[Consumer, ...] = ()
    crons: tuple[str, ...] = ()
    durable_objects: tuple[DurableObject, ...] = ()
    workflows: tuple[Workflow, ...] = ()
    settings: tuple[Setting, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    assets: Assets | None = None
    secrets: tuple[Secret, ...] = ()
    optional_secrets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("shared_kernel",)
    public: bool = False

    def required_secrets(self, environment: Environment) -> tuple[str, ...]:
        """The names of the secrets without which this Worker does not run in `environment`."""
        return tuple(secret.name for secret in self.secrets if environment in secret.environments)


@dataclass(frozen=True)
class Topology:
    """All Workers, in the order in which people list them."""

    workers: tuple[Worker, ...]

    def worker(self, name: str) -> Worker:
        """The Worker called `name`; raises TopologyError when there is none."""
        for worker in self.workers:
            if worker.name == name:
                return worker
        raise TopologyError(f"there is no Worker called {name!r}")


def inbox_queue(subscriber: str) -> str:
    """The queue in which a subscriber receives every event that it hears."""
    return f"{subscriber}-inbox"


def inbox_binding(subscriber: str) -> str:
    """The name under which a producer sees that queue."""
    return f"{subscriber.upper()}_INBOX"


def inbox(subscriber: str) -> tuple[Consumer, ...]:
    """The two queues of a subscriber: its inbox, and the dead letters of that inbox."""
    dead_letters = f"{subscriber}-dlq"
    return (
        Consumer(inbox_queue(subscriber), dead_letter_queue=dead_letters),
        Consumer(dead_letters, max_retries=MOST_RETRIES),
    )


def database(worker: str) -> Database:
    """The database that a Worker owns."""
    return Database(name=f"pasar-{worker}", local_id=f"pasar-{worker}-local")


def worker_name(worker: str, environment: Environment) -> str:
    """A Worker's name on the platform.

    The local name is none of the deployed ones, so that a deploy without `--env` cannot replace a live Worker.
    """
    return worker if environment == "local" else platform_name(f"pasar-{worker}", environment)


def platform_name(resource: str, environment: Environment) -> str:
    """A database's, queue's or workflow's name on the platform: one account may hold staging and production."""
    return f"{resource}-staging" if environment == "staging" else resource


def rate_limit_namespace(worker: str, limit: RateLimit, environment: Environment) -> str:
    """The number under which the platform counts for a rate limit; limits of one account with one number count as one.

    It follows from the names, so that it stays when limits are added, and none of an account's other Workers is likely
    to have it.
    """
    name = f"{worker_name(worker, environment)}.{limit.binding}"
    return str(zlib.crc32(name.encode()) & 0x7FFFFFFF)


def subscribers(topology: Topology, event: str) -> tuple[str, ...]:
    """The Workers that hear `event`, in the topology's order."""
    return tuple(worker.name for worker in topology.workers if event in worker.subscribes)


def producer_queues(topology: Topology, worker: Worker) -> dict[str, str]:
    """Producer bindings of a Worker: binding name to queue.

    One for each subscriber that it feeds; and one for its own inbox where it consumes dead letters, to redrive them.
    """
    fed = {name for event in worker.publishes for name in subscribers(topology, event)}
    if any(consumer.dead_letter_queue is not None for consumer in worker.consumes):
        fed.add(worker.name)
    return {inbox_binding(name): inbox_queue(name) for name in sorted(fed)}


def subscriptions(topology: Topology, worker: Worker) -> dict[str, list[str]]:
    """Every event that a Worker publishes, with the producer bindings through which its subscribers hear it."""
    return {event: [inbox_binding(name) for name in subscribers(topology, event)] for event in worker.publishes}
