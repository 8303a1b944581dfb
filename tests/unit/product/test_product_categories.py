"""What staff do to the tree of categories."""

import pytest

from product.domain.errors import CategoryInUse, CategoryNotFound, NameTaken, NoSuchCategory, StaleVersion
from shared_kernel.contracts.product import CategoryChanges, DeleteCategory
from shared_kernel.sql import ConstraintViolated
from tests.unit.product.catalogue_world import NO_CATEGORY, World, rename, run, shirt


def test_a_category_needs_a_parent_that_exists() -> None:
    with pytest.raises(CategoryNotFound):
        World().add_category("Shirts", NO_CATEGORY)


def test_siblings_have_different_names() -> None:
    world = World()
    clothes, books = world.add_category("Clothes"), world.add_category("Books")
    world.add_category("New", clothes.id)
    world.add_category("New", books.id)
    with pytest.raises(NameTaken):
        world.add_category("NEW", books.id)
    with pytest.raises(NameTaken):
        world.add_category("Books")


def test_the_schema_lets_no_category_move_so_there_is_no_cycle() -> None:
    world = World()
    root = world.add_category("Clothes")
    leaf = world.add_category("Shirts", root.id)
    move = world.database.rows("UPDATE categories SET parent_id = ? WHERE id = ?", leaf.id, root.id)
    with pytest.raises(ConstraintViolated):
        run(move)


def test_a_renamed_category_keeps_its_id_its_place_and_what_it_holds() -> None:
    world = World()
    root = world.add_category("Clothes")
    leaf = world.add_category("Shirts", root.id)
    world.add(shirt(category_id=leaf.id))
    renamed = world.rename_category(leaf.id, 1, "Blouses")
    assert renamed == leaf.model_copy(update={"name": "Blouses", "version": 2})
    assert world.category_names() == ["Clothes", "Blouses"]
    assert world.skus(category=root.id) == ["SHIRT-1"]


def test_a_name_can_change_its_case_alone() -> None:
    world = World()
    category = world.add_category("clothes")
    assert world.rename_category(category.id, 1, "CLOTHES").name == "CLOTHES"
    assert world.category_names() == ["CLOTHES"]


def test_a_change_of_nothing_makes_no_new_version() -> None:
    world = World()
    category = world.add_category("Clothes")
    assert world.rename_category(category.id, 1, "Clothes") == category
    assert world.rename_category(category.id, 1, "Books").version == 2


def test_a_stale_rename_changes_nothing() -> None:
    world = World()
    category = world.add_category("Clothes")
    world.rename_category(category.id, 1, "Books")
    with pytest.raises(StaleVersion) as refusal:
        world.rename_category(category.id, 1, "Tea")
    assert refusal.value.details == {"version": 2}
    assert world.category_names() == ["Books"]


def test_of_two_renames_at_the_same_moment_one_is_stale() -> None:
    world = World()
    category = world.add_category("Clothes")
    world.database.meanwhile = lambda: world.admin().change_category(rename(category.id, 1, "Books"))
    with pytest.raises(StaleVersion):
        world.rename_category(category.id, 1, "Tea")
    assert world.category_names() == ["Books"]


def test_a_rename_of_what_is_deleted_at_the_same_moment_finds_nothing() -> None:
    world = World()
    category = world.add_category("Clothes")
    world.database.meanwhile = lambda: world.admin().delete_category(DeleteCategory(id=category.id))
    with pytest.raises(NoSuchCategory):
        world.rename_category(category.id, 1, "Tea")
    assert world.category_names() == []


def test_a_name_of_a_sibling_is_refused_and_changes_nothing() -> None:
    world = World()
    world.add_category("Books")
    category = world.add_category("Clothes")
    with pytest.raises(NameTaken):
        world.rename_category(category.id, 1, "BOOKS")
    assert world.category_names() == ["Books", "Clothes"]


@pytest.mark.parametrize("category_id", [NO_CATEGORY, "nobody"])
def test_what_is_not_there_can_neither_be_renamed_nor_deleted(category_id: str) -> None:
    world = World()
    with pytest.raises(NoSuchCategory):
        world.rename_category(category_id, 1, "Tea")
    with pytest.raises(NoSuchCategory):
        world.delete_category(category_id)


def test_a_category_with_products_or_categories_stays_until_it_is_empty() -> None:
    world = World()
    root = world.add_category("Clothes")
    leaf = world.add_category("Shirts", root.id)
    (product,) = world.add(shirt(category_id=leaf.id))
    for held in (root, leaf):
        with pytest.raises(CategoryInUse):
            world.delete_category(held.id)
    assert world.category_names() == ["Clothes", "Shirts"]
    world.change(product.id, 1, category_id=None)
    world.delete_category(leaf.id)
    world.delete_category(root.id)
    assert world.category_names() == []
    assert world.skus() == ["SHIRT-1"]


def test_a_deleted_category_takes_no_product_and_leaves_its_name_free() -> None:
    world = World()
    category = world.add_category("Clothes")
    world.delete_category(category.id)
    with pytest.raises(CategoryNotFound):
        world.add(shirt(category_id=category.id))
    world.add_category("Clothes")
    assert world.category_names() == ["Clothes"]


@pytest.mark.parametrize("changes", [{}, {"name": None}, {"name": " "}, {"name": "x", "parent_id": NO_CATEGORY}])
def test_all_that_can_change_is_the_name(changes: dict[str, str | None]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        CategoryChanges.model_validate(changes)
