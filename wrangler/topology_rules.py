"""What makes a topology work: each rule is a function that raises TopologyError, and `checked` asks them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from wrangler.topology_model import (
    DEPLOYED,
    ENVIRONMENTS,
    EVERY_MINUTE,
    Quota,
    Topology,
    TopologyError,
    Worker,
    inbox_queue,
    platform_name,
    producer_queues,
    rate_limit_namespace,
)

MAX_DEPTH = 3
PERIODS_SECONDS = (10, 60)


def deploy_order(topology: Topology) -> list[Worker]:
    """Leaves first, whoever binds to a Worker after it, the public ones last; TopologyError on a cycle."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    behind = [worker.name for worker in topology.workers if not worker.public]
    for worker in topology.workers:
        sorter.add(worker.name, *(behind if worker.public else ()), *(binding.worker for binding in worker.bindings))
    try:
        return [topology.worker(name) for name in sorter.static_order()]
    except CycleError as error:
        raise TopologyError(f"the bindings form a cycle: {' -> '.join(error.args[1])}") from error


def checked(topology: Topology) -> Topology:
    """The topology itself when it breaks no rule; TopologyError otherwise."""
    check_names(topology)
    check_bindings(topology)
    check_depth(topology)
    check_subscriptions(topology)
    check_queues(topology)
    check_databases(topology)
    check_crons(topology)
    check_rate_limits(topology)
    return topology


def check_names(topology: Topology) -> None:
    """A name means one thing: one Worker of a name, and within a Worker one binding, setting or secret of a name."""
    _refuse_repeated((worker.name for worker in topology.workers), "Workers share the name")
    for worker in topology.workers:
        names = [binding.name for binding in worker.bindings]
        names += [owned.binding for owned in (worker.database,) if owned is not None]
        names += [owned.binding for owned in (worker.assets,) if owned is not None]
        names += [owned.binding for owned in worker.durable_objects] + [owned.binding for owned in worker.workflows]
        names += [*producer_queues(topology, worker), *(setting.name for setting in worker.settings)]
        names += [name for limit in worker.rate_limits for name in (limit.binding, limit.variable)]
        names += [*(secret.name for secret in worker.secrets), *worker.optional_secrets]
        names += ["ENVIRONMENT", "VERSION", "SERVICE", "SUBSCRIPTIONS"]
        _refuse_repeated(names, f"bindings of {worker.name} share the name")


def check_bindings(topology: Topology) -> None:
    """A binding leads to a Worker that exists, to an entrypoint that it has."""
    known = {worker.name: worker for worker in topology.workers}
    for worker in topology.workers:
        for binding in worker.bindings:
            if binding.worker not in known:
                raise TopologyError(f"{worker.name}.{binding.name} binds to {binding.worker!r}, which does not exist")
            if binding.entrypoint not in known[binding.worker].entrypoints:
                target = f"{binding.worker}.{binding.entrypoint}"
                raise TopologyError(f"{worker.name}.{binding.name} binds to {target}, which does not exist")


def check_depth(topology: Topology) -> None:
    """The bindings form a graph without a cycle whose longest way has at most three of them (architecture.md)."""
    longest: dict[str, tuple[str, ...]] = {}
    for worker in deploy_order(topology):
        below = [longest[binding.worker] for binding in worker.bindings]
        longest[worker.name] = (worker.name, *max(below, key=len, default=()))
    for way in longest.values():
        if len(way) - 1 > MAX_DEPTH:
            raise TopologyError(f"bindings are more than {MAX_DEPTH} deep: {' -> '.join(way)}")


def check_subscriptions(topology: Topology) -> None:
    """What is heard is published, by one Worker, and its subscriber consumes the queue in which it arrives."""
    published = [event for worker in topology.workers for event in worker.publishes]
    _refuse_repeated(published, "Workers both publish the event")
    for worker in topology.workers:
        for event in worker.subscribes:
            if event not in published:
                raise TopologyError(f"{worker.name} subscribes to {event!r}, which nobody publishes")
        if worker.subscribes and inbox_queue(worker.name) not in {consumer.queue for consumer in worker.consumes}:
            raise TopologyError(f"{worker.name} subscribes to events but does not consume {inbox_queue(worker.name)!r}")


def check_queues(topology: Topology) -> None:
    """A queue has one consumer (the platform's rule), and so has every dead-letter queue: without one it drops."""
    consumers = [consumer for worker in topology.workers for consumer in worker.consumes]
    consumed = [consumer.queue for consumer in consumers]
    _refuse_repeated(consumed, "consumers share the queue")
    for consumer in consumers:
        if consumer.dead_letter_queue is not None and consumer.dead_letter_queue not in consumed:
            raise TopologyError(f"the dead-letter queue {consumer.dead_letter_queue!r} has no consumer")


def check_databases(topology: Topology) -> None:
    """Every database has one owner: a shared name or local id would silently be one database."""
    owned = [worker.database for worker in topology.workers if worker.database is not None]
    _refuse_repeated((one.local_id for one in owned), "databases share the local id")
    deployed = (platform_name(one.name, environment) for one in owned for environment in DEPLOYED)
    _refuse_repeated(deployed, "databases share the name")


def check_crons(topology: Topology) -> None:
    """A cron runs every minute, because the local run, which has to fire them itself, knows no other."""
    for worker in topology.workers:
        for cron in worker.crons:
            if cron != EVERY_MINUTE:
                raise TopologyError(f"{worker.name} has the cron {cron!r}; the local run fires only {EVERY_MINUTE!r}")


def check_rate_limits(topology: Topology) -> None:
    """A quota is one that the platform can count, and no two limits of an account count together."""
    for worker in topology.workers:
        for limit in worker.rate_limits:
            for environment in ENVIRONMENTS:
                check_quota(limit.quota(environment), f"{worker.name}.{limit.binding}")
    namespaces = (
        rate_limit_namespace(worker.name, limit, environment)
        for worker in topology.workers
        for limit in worker.rate_limits
        for environment in ENVIRONMENTS
    )
    _refuse_repeated(namespaces, "rate limits share the namespace")


def check_quota(quota: Quota, name: str) -> None:
    """The platform counts whole requests in periods of 10 or 60 seconds; TopologyError for another quota."""
    if quota.limit < 1 or quota.period_seconds not in PERIODS_SECONDS:
        raise TopologyError(f"{name} allows {quota}; a rate limit is LIMIT;10 or LIMIT;60, with a limit of 1 or more")


def _refuse_repeated(names: Iterable[str], complaint: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise TopologyError(f"{count} {complaint} {name!r}")
