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
    """The product was changed since the author of this change read it."""

    code = "stale_version"


class CategoryNotFound(Invalid):
    """The category that was named does not exist."""

    code = "category_not_found"


class NameTaken(Conflict):
    """A category below the same parent has this name."""

    code = "name_taken"


class InvalidPrice(Invalid):
    """A price must be more than zero, whatever the other price is."""

    code = "invalid_price"
