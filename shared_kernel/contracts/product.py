"""What the product service offers: the catalogue to read, its prices for an order, its care by staff."""

from typing import Annotated, Literal, Protocol

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from shared_kernel.contracts.model import Health, Limit, Line, Message, Nothing, Quantity
from shared_kernel.ids import Id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Currency, Money
from shared_kernel.permissions import Kind
from shared_kernel.rpc import Json

Market = Literal["retail", "wholesale"]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Description = Annotated[str, StringConstraints(max_length=5000, pattern=r"^[^\x00]*$")]
PriceBound = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT_MINOR)]


def market_of(kind: Kind) -> Market:
    """The market in which such a person buys: wholesale for a buyer, retail for everybody else."""
    return "wholesale" if kind == "buyer" else "retail"


class MarketAvailability(Message):
    """In which markets a product is sold."""

    retail: bool = True
    wholesale: bool = True


class Product(Message):
    """A product as its reader may see it: `price` is what he pays for one, the other two are for staff."""

    id: str
    sku: str
    name: str
    description: str
    category_id: str | None = None
    images: list[str] = Field(default_factory=list)
    availability: MarketAvailability
    price: Money
    retail_price: Money | None = None
    wholesale_price: Money | None = None
    version: int
    created_at: str
    updated_at: str


class GetProduct(Message):
    """Which product."""

    id: str


class ListProducts(Message):
    """Filters and order of a list; prices in minor units of `currency`, or of any where none is named."""

    q: Annotated[str, StringConstraints(max_length=100)] | None = None
    category: str | None = None
    currency: Currency | None = None
    min_price: PriceBound | None = None
    max_price: PriceBound | None = None
    sort: Literal["name", "price", "-price", "newest"] = "name"
    limit: Limit = 20
    cursor: Annotated[str, StringConstraints(max_length=2000)] | None = None


class NewProduct(Message):
    """A product as staff describe it; both prices are for one piece and in one currency."""

    sku: Sku
    name: Line
    description: Description = ""
    category_id: Id | None = None
    availability: MarketAvailability = MarketAvailability()
    retail_price: Money
    wholesale_price: Money

    @model_validator(mode="after")
    def _sellable(self) -> "NewProduct":
        _require_prices(self.retail_price, self.wholesale_price)
        return self


class ProductChanges(Message):
    """The fields to change; those left out stay as they are, and `category_id` alone can be taken away with null."""

    sku: Sku | None = None
    name: Line | None = None
    description: Description | None = None
    category_id: Id | None = None
    availability: MarketAvailability | None = None
    retail_price: Money | None = None
    wholesale_price: Money | None = None

    @model_validator(mode="after")
    def _only_the_category_can_go(self) -> "ProductChanges":
        for field in self.model_fields_set - {"category_id"}:
            if getattr(self, field) is None:
                raise ValueError(f"{field} cannot be null")
        return self

    @model_serializer(mode="wrap")
    def _what_was_sent(self, write: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """What was left out stays left out, so that the other side can tell it from an explicit null."""
        written: dict[str, JsonValue] = write(self)
        return {field: value for field, value in written.items() if field in self.model_fields_set}


class ChangeProduct(Message):
    """A change to the version that its author has seen; PreconditionFailed when there is a newer one."""

    id: str
    expected_version: int
    changes: ProductChanges


class DeleteProduct(Message):
    """Take a product out of the catalogue for good; orders keep what they froze of it."""

    id: str


class Category(Message):
    """A node of the category tree; a root has no parent."""

    id: str
    name: str
    parent_id: str | None = None
    version: int


class NewCategory(Message):
    """A category as staff describe it."""

    name: Line
    parent_id: Id | None = None


class CategoryChanges(Message):
    """The name is all that can change: a category stays below its parent, so that the tree has no cycle."""

    name: Line


class ChangeCategory(Message):
    """A change to the version that its author has seen; PreconditionFailed when there is a newer one."""

    id: str
    expected_version: int
    changes: CategoryChanges


class DeleteCategory(Message):
    """Take a category out of the tree; one that holds products or categories stays."""

    id: str


class WantedLine(Message):
    """So many pieces of a product."""

    product_id: Id
    quantity: Quantity


class PriceLines(Message):
    """What a buyer of a market wants; the same product in two lines is allowed."""

    market: Market
    lines: Annotated[list[WantedLine], Field(min_length=1, max_length=100)]


class PricedLine(Message):
    """One line with what it costs and where its price comes from (`retail`, `wholesale`)."""

    product_id: str
    sku: str
    name: str
    quantity: int
    unit_price: Money
    price_source: str
    total: Money


class PricedLines(Message):
    """All lines in the order they were asked, and their sum."""

    lines: list[PricedLine]
    total: Money


class Catalogue(Protocol):
    """For the gateway: what anyone may read, as the call's principal may see it."""

    async def get_product(self, request: GetProduct) -> Product:
        """The product; NotFound."""
        ...

    async def list_products(self, request: ListProducts) -> Json:
        """`{"items": [Product], "next_cursor": str | null}`; Invalid `invalid_cursor`."""
        ...

    async def list_categories(self, request: Nothing) -> Json:
        """`{"items": [Category]}`, parents before children."""
        ...

    async def health(self, request: Nothing) -> Health:
        """Whether the service and its database answer."""
        ...


class Admin(Protocol):
    """For staff, through the gateway; anyone else is Unauthenticated or Forbidden."""

    async def create_product(self, request: NewProduct) -> Product:
        """The new product; Conflict `sku_taken`; Invalid `category_not_found`."""
        ...

    async def change_product(self, request: ChangeProduct) -> Product:
        """The changed product; NotFound; PreconditionFailed `stale_version`; Conflict `sku_taken`; Invalid
        `category_not_found`, `currency_mismatch`, `invalid_price`."""
        ...

    async def delete_product(self, request: DeleteProduct) -> Nothing:
        """NotFound when there is none."""
        ...

    async def create_category(self, request: NewCategory) -> Category:
        """The new category; Invalid `category_not_found` for its parent; Conflict `name_taken` among siblings."""
        ...

    async def change_category(self, request: ChangeCategory) -> Category:
        """The changed category; NotFound; PreconditionFailed `stale_version`; Conflict `name_taken` among siblings."""
        ...

    async def delete_category(self, request: DeleteCategory) -> Nothing:
        """NotFound when there is none; Conflict `category_in_use` when it holds products or categories."""
        ...


class Pricing(Protocol):
    """For the order service."""

    async def price_lines(self, request: PriceLines) -> PricedLines:
        """All lines priced, or Invalid: `product_not_found`, `not_sold_in_market` or `currency_mismatch`,
        with the product ids at fault in `details["product_ids"]`."""
        ...


def _require_prices(retail: Money, wholesale: Money) -> None:
    if retail.currency != wholesale.currency:
        raise ValueError("retail_price and wholesale_price must have the same currency")
    if retail.amount <= 0 or wholesale.amount <= 0:
        raise ValueError("a price must be more than zero")
