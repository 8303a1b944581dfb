"""The category: how it changes. Its place in the tree never does."""

from product.domain.errors import StaleVersion
from shared_kernel.contracts.product import Category, CategoryChanges


def changed(category: Category, expected_version: int, changes: CategoryChanges) -> Category:
    """The next version, or this very one when nothing differs; StaleVersion when the author has seen another."""
    if expected_version != category.version:
        raise StaleVersion(
            f"the category is at version {category.version}, the change was made for version {expected_version}",
            details={"version": category.version},
        )
    if changes.name == category.name:
        return category
    return category.model_copy(update={"name": changes.name, "version": category.version + 1})
