"""What staff do to the catalogue, and what the rest of the system hears of it."""

from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from product.application.admin import Admin
from product.domain.errors import CategoryNotFound, ProductNotFound, SkuTaken, StaleVersion
from shared_kernel.contracts.product import DeleteCategory, DeleteProduct, GetProduct, NewCategory, Product
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.product.catalogue_world import (
    NO_CATEGORY,
    NO_PRODUCT,
    TRACEPARENT,
    World,
    change,
    idr,
    rename,
    run,
    shirt,
    usd,
)


def _kept(world: World, product_id: str) -> Product:
    return run(world.catalogue("staff").get_product(GetProduct(id=product_id)))


def _told(world: World) -> list[tuple[str, str]]:
    return [(event["type"], event["subject"]) for event in world.events()]


@pytest.mark.parametrize(("kind", "refusal"), [("guest", Unauthenticated), ("service", Forbidden)])
@pytest.mark.parametrize(
    "use",
    [
        lambda admin: admin.create_product(shirt()),
        lambda admin: admin.change_product(change(NO_PRODUCT, 1)),
        lambda admin: admin.delete_product(DeleteProduct(id=NO_PRODUCT)),
        lambda admin: admin.create_category(NewCategory(name="Clothes")),
        lambda admin: admin.change_category(rename(NO_CATEGORY, 1, "Clothes")),
        lambda admin: admin.delete_category(DeleteCategory(id=NO_CATEGORY)),
    ],
)
def test_only_staff_may_touch_the_catalogue(
    use: Callable[[Admin], Awaitable[object]], kind: Literal["guest", "service"], refusal: type[Exception]
) -> None:
    world = World()

    async def attempt() -> None:
        await use(world.admin(kind))

    with pytest.raises(refusal):
        run(attempt())
    assert (world.events(), world.published) == ([], 0)


def test_a_created_product_is_kept_and_told() -> None:
    world = World()
    (product,) = world.add(shirt())
    (event,) = world.events()
    assert _kept(world, product.id) == product
    assert (event["type"], event["source"], event["subject"]) == ("product.created", "/services/product", product.id)
    assert (event["traceparent"], event["data"]["sku"], event["data"]["version"]) == (TRACEPARENT, "SHIRT-1", 1)
    assert world.published == 1


def test_a_sku_belongs_to_one_product() -> None:
    world = World()
    _, other = world.add(shirt("A"), shirt("B"))
    with pytest.raises(SkuTaken):
        world.add(shirt("A"))
    with pytest.raises(SkuTaken):
        world.change(other.id, 1, sku="A")
    assert (_kept(world, other.id), len(world.events()), world.published) == (other, 2, 2)


def test_a_product_needs_a_category_that_exists() -> None:
    world = World()
    with pytest.raises(CategoryNotFound):
        world.add(shirt(category_id=NO_CATEGORY))
    (product,) = world.add(shirt())
    with pytest.raises(CategoryNotFound):
        world.change(product.id, 1, category_id=NO_CATEGORY)
    assert _told(world) == [("product.created", product.id)]


def test_a_change_is_kept_and_told_with_its_version() -> None:
    world = World()
    category = world.add_category("Clothes")
    (product,) = world.add(shirt())
    changed = world.change(
        product.id, 1, sku="NEW", category_id=category.id, retail_price=usd(900), wholesale_price=usd(700)
    )
    assert _kept(world, product.id) == changed
    assert (changed.version, changed.sku, changed.category_id, changed.price) == (2, "NEW", category.id, usd(900))
    assert _told(world) == [("product.created", product.id), ("product.changed", product.id)]
    assert (world.events()[1]["data"]["version"], world.published) == (2, 2)


def test_a_change_of_nothing_is_answered_and_told_to_nobody() -> None:
    world = World()
    (product,) = world.add(shirt())
    assert world.change(product.id, 1, name="Shirt") == product
    assert (len(world.events()), world.published) == (1, 1)


def test_an_explicit_null_takes_the_product_out_of_its_category() -> None:
    world = World()
    (product,) = world.add(shirt(category_id=world.add_category("Clothes").id))
    world.change(product.id, 1, category_id=None)
    assert _kept(world, product.id).category_id is None


def test_a_stale_change_changes_nothing() -> None:
    world = World()
    (product,) = world.add(shirt())
    changed = world.change(product.id, 1, name="Blouse")
    with pytest.raises(StaleVersion):
        world.change(product.id, 1, name="Tunic")
    assert (_kept(world, product.id), len(world.events())) == (changed, 2)


def test_of_two_changes_at_the_same_moment_one_is_stale() -> None:
    world = World()
    (product,) = world.add(shirt())
    world.database.meanwhile = lambda: world.admin().change_product(change(product.id, 1, name="Blouse"))
    with pytest.raises(StaleVersion):
        world.change(product.id, 1, retail_price=idr(1))
    kept = _kept(world, product.id)
    assert (kept.version, kept.name, kept.price) == (2, "Blouse", product.price)
    assert len(world.events()) == 2


def test_a_change_of_what_is_deleted_at_the_same_moment_is_told_to_nobody() -> None:
    world = World()
    (product,) = world.add(shirt())
    world.database.meanwhile = lambda: world.admin().delete_product(DeleteProduct(id=product.id))
    with pytest.raises(ProductNotFound):
        world.change(product.id, 1, name="Blouse")
    assert _told(world) == [("product.created", product.id), ("product.deleted", product.id)]


def test_a_deleted_product_is_gone_and_its_sku_is_free() -> None:
    world = World()
    (product,) = world.add(shirt())
    run(world.admin().delete_product(DeleteProduct(id=product.id)))
    with pytest.raises(ProductNotFound):
        _kept(world, product.id)
    (again,) = world.add(shirt())
    assert again.id != product.id
    assert _told(world)[1] == ("product.deleted", product.id)


@pytest.mark.parametrize("product_id", [NO_PRODUCT, "nobody"])
def test_what_is_not_there_can_neither_be_changed_nor_deleted(product_id: str) -> None:
    world = World()
    with pytest.raises(ProductNotFound):
        world.change(product_id, 1, name="Blouse")
    with pytest.raises(ProductNotFound):
        run(world.admin().delete_product(DeleteProduct(id=product_id)))
    assert (world.events(), world.published) == ([], 0)
