"""A topology that could not work is refused, with what is wrong with it."""

from dataclasses import replace

import pytest

from wrangler.topology import PASAR
from wrangler.topology_model import (
    DEPLOYED,
    ENVIRONMENTS,
    EVERY_MINUTE,
    Binding,
    Consumer,
    Database,
    Quota,
    RateLimit,
    Secret,
    Setting,
    Topology,
    TopologyError,
    Worker,
    database,
    inbox,
    producer_queues,
    rate_limit_namespace,
    subscriptions,
    worker_name,
)
from wrangler.topology_rules import (
    check_bindings,
    check_crons,
    check_databases,
    check_depth,
    check_names,
    check_queues,
    check_rate_limits,
    check_subscriptions,
    checked,
    deploy_order,
)


def topology(*workers: Worker) -> Topology:
    """The Workers as a topology, unchecked."""
    return Topology(workers)


def worker(name: str, *binds_to: str) -> Worker:
    """A Worker that binds to the default entrypoints of others."""
    return Worker(name, bindings=tuple(Binding(target.upper(), target) for target in binds_to))


def limit() -> RateLimit:
    """A rate limit that is the same everywhere."""
    quota = Quota(100, period_seconds=60)
    return RateLimit("LIMIT_READ", local=quota, staging=quota, production=quota)


def test_pasar_itself_is_accepted() -> None:
    assert checked(PASAR) is PASAR


def test_leaves_are_deployed_first_and_the_gateway_last() -> None:
    names = [one.name for one in deploy_order(PASAR)]
    assert sorted(names) == ["gateway", "inventory", "order", "payment", "product", "user"]
    assert names[-2:] == ["order", "gateway"]


def test_a_public_worker_is_deployed_last_even_when_it_knows_nobody() -> None:
    gateway = Worker("gateway", public=True)
    assert deploy_order(topology(gateway, worker("analytics")))[-1] is gateway


def test_a_cycle_of_bindings_is_refused() -> None:
    cycle = topology(worker("order", "quote"), worker("quote", "order"))
    with pytest.raises(TopologyError, match=r"cycle: (order -> quote -> order|quote -> order -> quote)"):
        check_depth(cycle)


def test_a_worker_that_binds_to_itself_is_refused() -> None:
    with pytest.raises(TopologyError, match="cycle"):
        check_depth(topology(worker("order", "order")))


def test_a_chain_of_three_bindings_is_accepted_and_of_four_refused() -> None:
    chain = [worker("a"), worker("b", "a"), worker("c", "b"), worker("d", "c")]
    check_depth(topology(*chain))
    with pytest.raises(TopologyError, match="more than 3 deep: e -> d -> c -> b -> a"):
        check_depth(topology(*chain, worker("e", "d", "a")))


def test_a_binding_to_a_worker_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"gateway\.USER binds to 'user', which does not exist"):
        check_bindings(topology(worker("gateway", "user")))


def test_a_binding_to_an_entrypoint_that_does_not_exist_is_refused() -> None:
    gateway = Worker("gateway", bindings=(Binding("PRODUCT_ADMIN", "product", "Admin"),))
    with pytest.raises(TopologyError, match=r"product\.Admin, which does not exist"):
        check_bindings(topology(gateway, worker("product")))


def test_a_subscription_to_an_event_that_nobody_publishes_is_refused() -> None:
    deaf = Worker("order", subscribes=("order.shipped",), consumes=inbox("order"))
    with pytest.raises(TopologyError, match=r"order subscribes to 'order\.shipped', which nobody publishes"):
        check_subscriptions(topology(deaf))


def test_a_subscriber_that_does_not_consume_its_inbox_is_refused() -> None:
    order = Worker("order", publishes=("order.placed",), subscribes=("order.placed",))
    with pytest.raises(TopologyError, match="does not consume 'order-inbox'"):
        check_subscriptions(topology(order))


def test_an_event_with_two_publishers_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"both publish the event 'order\.placed'"):
        check_subscriptions(
            topology(Worker("order", publishes=("order.placed",)), Worker("quote", publishes=("order.placed",)))
        )


def test_a_queue_with_two_consumers_is_refused() -> None:
    first = Worker("order", consumes=(Consumer("order-inbox"),))
    second = Worker("analytics", consumes=(Consumer("order-inbox"),))
    with pytest.raises(TopologyError, match="2 consumers share the queue 'order-inbox'"):
        check_queues(topology(first, second))


def test_a_dead_letter_queue_without_a_consumer_is_refused() -> None:
    order = Worker("order", consumes=(Consumer("order-inbox", dead_letter_queue="order-dlq"),))
    with pytest.raises(TopologyError, match="the dead-letter queue 'order-dlq' has no consumer"):
        check_queues(topology(order))


def test_a_shared_local_database_id_is_refused() -> None:
    first = Worker("order", database=Database("pasar-order", local_id="one"))
    second = Worker("quote", database=Database("pasar-quote", local_id="one"))
    with pytest.raises(TopologyError, match="share the local id 'one'"):
        check_databases(topology(first, second))


def test_a_shared_database_name_is_refused() -> None:
    first = Worker("order", database=Database("pasar", local_id="one"))
    second = Worker("quote", database=Database("pasar", local_id="two"))
    with pytest.raises(TopologyError, match="databases share the name 'pasar"):
        check_databases(topology(first, second))


def test_a_staging_database_that_is_another_ones_production_database_is_refused() -> None:
    first = Worker("order", database=Database("pasar", local_id="one"))
    second = Worker("quote", database=Database("pasar-staging", local_id="two"))
    with pytest.raises(TopologyError, match="share the name 'pasar-staging'"):
        check_databases(topology(first, second))


def test_a_cron_that_the_local_run_cannot_fire_is_refused() -> None:
    check_crons(topology(Worker("order", crons=(EVERY_MINUTE,))))
    with pytest.raises(TopologyError, match="order has the cron '0 3 "):
        check_crons(topology(Worker("order", crons=("0 3 * * *",))))


@pytest.mark.parametrize("quota", [Quota(0, 60), Quota(-1, 10), Quota(5, 1), Quota(5, 3600)])
def test_a_rate_limit_that_the_platform_cannot_count_is_refused(quota: Quota) -> None:
    for broken in (
        RateLimit("LIMIT_READ", local=quota, staging=Quota(1, 10), production=Quota(1, 60)),
        RateLimit("LIMIT_READ", local=Quota(1, 10), staging=Quota(1, 60), production=quota),
    ):
        with pytest.raises(TopologyError, match=rf"gateway\.LIMIT_READ allows {quota.limit};{quota.period_seconds};"):
            check_rate_limits(topology(Worker("gateway", rate_limits=(broken,))))


def test_rate_limits_that_would_count_together_are_refused() -> None:
    with pytest.raises(TopologyError, match="2 rate limits share the namespace"):
        check_rate_limits(topology(Worker("gateway", rate_limits=(limit(), limit()))))


def test_a_rate_limit_counts_apart_in_each_environment_and_stays_when_others_are_added() -> None:
    numbers = [rate_limit_namespace("gateway", limit(), environment) for environment in ENVIRONMENTS]
    assert len(set(numbers)) == len(ENVIRONMENTS)
    assert all(0 < int(number) < 2**31 for number in numbers)
    assert rate_limit_namespace("gateway", limit(), "production") == "739423030"


def test_a_secret_is_required_where_it_exists() -> None:
    gateway = Worker("gateway", secrets=(Secret("STAFF_TOKEN", environments=("local",)), Secret("KEY")))
    assert [gateway.required_secrets(environment) for environment in ENVIRONMENTS] == [
        ("STAFF_TOKEN", "KEY"),
        ("KEY",),
        ("KEY",),
    ]


def test_the_staff_token_exists_on_this_machine_alone_and_the_signing_keys_secret_everywhere() -> None:
    required = {one.name: [one.required_secrets(environment) for environment in ENVIRONMENTS] for one in PASAR.workers}
    assert required["gateway"] == [("STAFF_TOKEN",), (), ()]
    assert required["user"] == [("SIGNING_KEY_SECRET",)] * 3
    assert {name for name, each in required.items() if any(each)} == {"gateway", "user"}


def test_two_workers_of_one_name_are_refused() -> None:
    with pytest.raises(TopologyError, match="2 Workers share the name 'order'"):
        check_names(topology(worker("order"), worker("order")))


@pytest.mark.parametrize(
    "clash",
    [
        Worker("order", database=database("order"), settings=(Setting("DB", "a", "b", "c"),)),
        Worker("order", bindings=(Binding("ORDER_INBOX", "product"),), consumes=inbox("order")),
        Worker("order", secrets=(Secret("VERSION"),)),
        Worker("order", rate_limits=(limit(),), settings=(Setting("LIMIT_READ_QUOTA", "a", "b", "c"),)),
    ],
)
def test_two_things_of_one_name_in_a_worker_are_refused(clash: Worker) -> None:
    with pytest.raises(TopologyError, match="2 bindings of order share the name"):
        check_names(topology(clash, worker("product")))


def test_a_producer_is_bound_to_the_inbox_of_each_subscriber_once() -> None:
    order = Worker("order", publishes=("order.placed", "order.confirmed"))
    analytics = Worker("analytics", subscribes=("order.confirmed", "order.placed"), consumes=inbox("analytics"))
    notification = Worker("notification", subscribes=("order.confirmed",), consumes=inbox("notification"))
    whole = topology(order, analytics, notification)
    assert producer_queues(whole, order) == {
        "ANALYTICS_INBOX": "analytics-inbox",
        "NOTIFICATION_INBOX": "notification-inbox",
    }
    assert subscriptions(whole, order) == {
        "order.placed": ["ANALYTICS_INBOX"],
        "order.confirmed": ["ANALYTICS_INBOX", "NOTIFICATION_INBOX"],
    }


def test_a_consumer_of_dead_letters_can_send_them_to_its_inbox_again() -> None:
    analytics = Worker("analytics", consumes=inbox("analytics"))
    assert producer_queues(topology(analytics), analytics) == {"ANALYTICS_INBOX": "analytics-inbox"}


def test_every_published_event_is_listed_even_when_nobody_hears_it() -> None:
    assert subscriptions(PASAR, PASAR.worker("payment"))["payment.disputed"] == []


def test_no_local_worker_has_the_name_of_a_deployed_one() -> None:
    local = {worker_name(one.name, "local") for one in PASAR.workers}
    deployed = {worker_name(one.name, environment) for one in PASAR.workers for environment in DEPLOYED}
    assert local.isdisjoint(deployed)
    assert len(deployed) == 2 * len(PASAR.workers)


def test_only_the_gateway_is_public() -> None:
    assert [one.name for one in PASAR.workers if one.public] == ["gateway"]


def test_an_unknown_worker_is_refused_by_name() -> None:
    with pytest.raises(TopologyError, match="no Worker called 'shipping'"):
        PASAR.worker("shipping")


def test_one_more_worker_takes_a_few_lines() -> None:
    analytics = Worker(
        "analytics", database=database("analytics"), subscribes=("order.confirmed",), consumes=inbox("analytics")
    )
    more = checked(replace(PASAR, workers=(*PASAR.workers, analytics)))
    assert producer_queues(more, more.worker("order")) == {
        "ANALYTICS_INBOX": "analytics-inbox",
        "ORDER_INBOX": "order-inbox",
    }
