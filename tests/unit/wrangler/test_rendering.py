"""The committed files are what the topology says, and say what the platform needs."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from wrangler.rendering import ROOT, bindings_md, pinned, rendered_files, vendored, wrangler_jsonc
from wrangler.topology import PASAR
from wrangler.topology_model import DEPLOYED, ENVIRONMENTS, Environment, Worker

# What wrangler lets an environment inherit from the top level.
INHERITED = {"$schema", "main", "compatibility_date", "compatibility_flags", "build", "env"}
EACH_WORKER = pytest.mark.parametrize("worker", PASAR.workers, ids=lambda worker: worker.name)


def document(worker: Worker) -> dict[str, Any]:
    """The committed configuration as wrangler reads it."""
    comment, _, text = wrangler_jsonc(PASAR, worker).partition("\n")
    assert comment.startswith("//")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def section(worker: Worker, environment: Environment) -> dict[str, Any]:
    """What counts in one environment; the top level is the local one."""
    whole = document(worker)
    chosen: dict[str, Any] = whole if environment == "local" else whole["env"][environment]
    return chosen


@pytest.mark.parametrize("path", sorted(rendered_files(PASAR)))
def test_committed_file_is_what_the_topology_renders(path: str) -> None:
    assert (ROOT / path).read_text() == rendered_files(PASAR)[path], "run python -m wrangler.rendering"


def test_no_service_has_a_configuration_that_is_not_rendered() -> None:
    committed = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("services/*/wrangler.json*")}
    assert committed == {path for path in rendered_files(PASAR) if path.endswith("wrangler.jsonc")}


@EACH_WORKER
def test_deployed_environments_are_spelled_out_in_full(worker: Worker) -> None:
    for environment in DEPLOYED:
        of_secrets = set() if worker.required_secrets(environment) else {"secrets"}
        assert section(worker, environment).keys() == document(worker).keys() - INHERITED - of_secrets


@EACH_WORKER
def test_flags_of_the_local_runtime_are_not_deployed(worker: Worker) -> None:
    assert document(worker)["compatibility_flags"] == ["python_workers"]
    assert document(worker)["compatibility_date"] >= "2026-09-08"


@EACH_WORKER
def test_only_the_gateway_can_be_reached_from_outside(worker: Worker) -> None:
    for environment in ENVIRONMENTS:
        assert section(worker, environment)["workers_dev"] is (worker.name == "gateway")
        assert section(worker, environment)["preview_urls"] is False
        assert not {"route", "routes"} & section(worker, environment).keys()


@EACH_WORKER
def test_each_environment_binds_to_its_own_workers(worker: Worker) -> None:
    names = {environment: {section(one, environment)["name"] for one in PASAR.workers} for environment in ENVIRONMENTS}
    for environment in ENVIRONMENTS:
        bound = {service["service"] for service in section(worker, environment).get("services", [])}
        assert bound <= names[environment]


@EACH_WORKER
def test_no_deployed_database_has_an_id(worker: Worker) -> None:
    for environment in DEPLOYED:
        for database in section(worker, environment).get("d1_databases", []):
            assert database.keys() == {"binding", "database_name"}


def test_no_two_databases_are_the_same() -> None:
    databases = [
        (database.get("database_id"), database["database_name"])
        for worker in PASAR.workers
        for environment in ENVIRONMENTS
        for database in section(worker, environment).get("d1_databases", [])
    ]
    assert len(databases) == len(set(databases)) == 3 * 5


def test_staging_and_production_share_no_queue_and_no_workflow() -> None:
    order = PASAR.worker("order")
    staging, production = section(order, "staging"), section(order, "production")
    assert {one["queue"] for one in staging["queues"]["consumers"]} == {"order-inbox-staging", "order-dlq-staging"}
    assert {one["queue"] for one in production["queues"]["consumers"]} == {"order-inbox", "order-dlq"}
    assert staging["workflows"][0]["name"] == "order-saga-staging"
    assert production["workflows"][0]["name"] == "order-saga"


def test_every_figure_of_a_queue_is_set_and_its_dead_letters_have_a_queue() -> None:
    consumers = section(PASAR.worker("order"), "production")["queues"]["consumers"]
    figures = {"max_batch_size": 10, "max_batch_timeout": 5, "max_retries": 3}
    assert consumers == [
        {"queue": "order-inbox", **figures, "dead_letter_queue": "order-dlq"},
        {"queue": "order-dlq", **figures, "max_retries": 100},
    ]


def test_order_keeps_its_objects_in_sqlite_and_runs_its_saga() -> None:
    production = section(PASAR.worker("order"), "production")
    assert production["durable_objects"] == {"bindings": [{"name": "ORDERS", "class_name": "OrderObject"}]}
    assert production["migrations"] == [{"tag": "v1", "new_sqlite_classes": ["OrderObject"]}]
    assert production["workflows"] == [{"binding": "ORDER_SAGA", "name": "order-saga", "class_name": "OrderSaga"}]


def test_the_default_entrypoint_is_bound_without_a_name() -> None:
    services = {service["binding"]: service for service in section(PASAR.worker("gateway"), "production")["services"]}
    assert services["PRODUCT"] == {"binding": "PRODUCT", "service": "pasar-product"}
    assert services["PRODUCT_ADMIN"]["entrypoint"] == "Admin"


def test_platform_keeps_no_addresses_of_requests_to_the_gateway() -> None:
    for environment in ENVIRONMENTS:
        observability = section(PASAR.worker("gateway"), environment)["observability"]
        assert observability == {"enabled": True, "logs": {"enabled": True, "invocation_logs": False}}


def test_the_sandbox_is_disabled_in_production() -> None:
    payment = PASAR.worker("payment")
    values = {environment: section(payment, environment)["vars"]["SANDBOX"] for environment in ENVIRONMENTS}
    assert values == {"local": "enabled", "staging": "enabled", "production": "disabled"}


def test_a_secret_is_required_and_has_no_value() -> None:
    user = PASAR.worker("user")
    for environment in ENVIRONMENTS:
        assert section(user, environment)["secrets"] == {"required": ["SIGNING_KEY_SECRET"]}
        assert "SIGNING_KEY_SECRET" not in section(user, environment)["vars"]


def test_a_secret_is_not_required_where_it_does_not_exist() -> None:
    gateway = PASAR.worker("gateway")
    assert section(gateway, "local")["secrets"] == {"required": ["STAFF_TOKEN"]}
    for environment in DEPLOYED:
        assert "STAFF_TOKEN" not in json.dumps(section(gateway, environment))


def test_the_gateway_has_its_rate_limits_in_every_environment_and_is_told_their_quotas() -> None:
    gateway = PASAR.worker("gateway")
    quotas = {
        environment: [one["simple"]["limit"] for one in section(gateway, environment)["ratelimits"]]
        for environment in ENVIRONMENTS
    }
    deployed = [600, 120, 10, 20, 600]
    assert quotas == {"local": [100_000] * 5, "staging": deployed, "production": deployed}
    for environment in ENVIRONMENTS:
        for one in section(gateway, environment)["ratelimits"]:
            quota = f"{one['simple']['limit']};{one['simple']['period']}"
            assert section(gateway, environment)["vars"][f"{one['name']}_QUOTA"] == quota


def test_no_two_rate_limits_count_together() -> None:
    numbers = [
        one["namespace_id"]
        for environment in ENVIRONMENTS
        for one in section(PASAR.worker("gateway"), environment)["ratelimits"]
    ]
    assert len(numbers) == len(set(numbers)) == 3 * 5


def test_the_gateway_alone_has_static_assets_and_keeps_the_addresses_of_folders_to_itself() -> None:
    for environment in ENVIRONMENTS:
        having = {one.name: section(one, environment)["assets"] for one in PASAR.workers if one.assets is not None}
        served = {"directory": "../../.pasar/assets", "binding": "ASSETS", "html_handling": "none"}
        assert having == {"gateway": served | {"run_worker_first": True}}


def test_the_binding_matrix_says_where_a_secret_exists_and_how_much_is_allowed() -> None:
    page = bindings_md(PASAR)
    assert "| STAFF_TOKEN (local) |" in page
    assert "| SIGNING_KEY_SECRET |" in page
    assert "| gateway | LIMIT_SIGN_IN | 100000 in 60 s | 10 in 60 s | 10 in 60 s |" in page


def test_subscriptions_cross_as_json_text() -> None:
    variables = section(PASAR.worker("order"), "production")["vars"]
    assert json.loads(variables["SUBSCRIPTIONS"])["order.placed"] == ["ORDER_INBOX"]


@EACH_WORKER
def test_project_file_names_the_pinned_versions(worker: Worker) -> None:
    project = tomllib.loads((ROOT / "services" / worker.name / "pyproject.toml").read_text())
    named = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    assert named == [*vendored(), pinned("workers-py"), pinned("workers-runtime-sdk")]
    assert pinned("pydantic") in vendored()


def test_vendored_packages_are_the_pins_without_comments_and_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "worker.in").write_text("# vendored\nargon2==1.0\n\npydantic==2.0\nworkers-runtime-sdk==1.9.5\n")
    assert vendored(tmp_path) == ["argon2==1.0", "pydantic==2.0"]


def test_a_package_without_a_pin_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.in").write_text("# pydantic==1.0\npydantic-core==2.50.4\n")
    with pytest.raises(LookupError, match="no pin for pydantic"):
        pinned("pydantic", tmp_path)


@EACH_WORKER
def test_every_service_is_seen_by_the_checks(worker: Worker) -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    source = f"services/{worker.name}/src"
    assert source in configuration["pytest"]["ini_options"]["pythonpath"]
    assert f"$MYPY_CONFIG_FILE_DIR/{source}" in configuration["mypy"]["mypy_path"]
    assert worker.name in configuration["ruff"]["lint"]["isort"]["known-first-party"]
