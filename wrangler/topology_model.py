"""What a topology can say: Workers, bindings, databases, queues, subscriptions, and the names they get.

Names on the platform depend on the environment; what a producer feeds follows from who subscribes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Environment = Literal["local", "staging", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
DEPLOYED: tuple[Environment, ...] = ("staging", "production")

EVERY_MINUTE = "* * * * *"


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
    secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("shared_kernel",)
    public: bool = False


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
    return (Consumer(inbox_queue(subscriber), dead_letter_queue=dead_letters), Consumer(dead_letters))


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
