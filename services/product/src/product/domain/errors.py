"""The refusals that the catalogue knows, with the codes that a client may rely on."""

from shared_kernel.errors import Conflict, Invalid, NotFound, PreconditionFailed


class ProductNotFound(NotFound):
    """There is no such product for this reader."""

    code = "product_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such product")


class SkuTaken(Conflict):
    """Another product has this SKU."""

    code = "sku_taken"


class StaleVersion(PreconditionFailed):
    """What is to be changed was changed since the author of this change read it."""

    code = "stale_version"


class CategoryNotFound(Invalid):
    """The category that was named does not exist."""

    code = "category_not_found"


class NoSuchCategory(NotFound):
    """The category that is to be changed or deleted does not exist."""

    code = "category_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such category")


class CategoryInUse(Conflict):
    """The category holds products or categories, which would be left without it."""

    code = "category_in_use"

    def __init__(self) -> None:
        super().__init__("the category holds products or categories; take them out first")


class NameTaken(Conflict):
    """A category below the same parent has this name."""

    code = "name_taken"


class InvalidPrice(Invalid):
    """A price must be more than zero, whatever the other price is."""

    code = "invalid_price"
