"""The product: what staff make of it, how it changes, and how each reader sees it.

A product has two prices for one piece, always in one currency: changing the currency means giving both.
"""

from datetime import datetime
from typing import Any

from pydantic import JsonValue

from product.domain.errors import InvalidPrice, StaleVersion
from shared_kernel.clock import rfc3339
from shared_kernel.contracts import product as contract
from shared_kernel.contracts.model import Message
from shared_kernel.money import CurrencyMismatch, Money


class Product(Message):
    """A product with everything that is known of it; each change makes a new one, one version on."""

    id: str
    sku: str
    name: str
    description: str
    category_id: str | None = None
    availability: contract.MarketAvailability
    retail_price: Money
    wholesale_price: Money
    version: int
    created_at: str
    updated_at: str

    @staticmethod
    def create(new: contract.NewProduct, product_id: str, now: datetime) -> "Product":
        """The first version of a product."""
        return Product(
            id=product_id,
            sku=new.sku,
            name=new.name,
            description=new.description,
            category_id=new.category_id,
            availability=new.availability,
            retail_price=new.retail_price,
            wholesale_price=new.wholesale_price,
            version=1,
            created_at=rfc3339(now),
            updated_at=rfc3339(now),
        )

    def change(self, expected_version: int, changes: contract.ProductChanges, now: datetime) -> "Product":
        """The next version, or this very one when nothing differs.

        StaleVersion when the author has seen another version; CurrencyMismatch or InvalidPrice when the
        prices, old and new together, do not fit.
        """
        if expected_version != self.version:
            raise StaleVersion(
                f"the product is at version {self.version}, the change was made for version {expected_version}",
                details={"version": self.version},
            )
        given = {field: getattr(changes, field) for field in changes.model_fields_set}
        changed = self.model_copy(update=given)
        if changed == self:
            return self
        changed._require_prices()
        return changed.model_copy(update={"version": self.version + 1, "updated_at": rfc3339(now)})

    def is_sold_in(self, market: contract.Market) -> bool:
        """Whether buyers of this market may buy it."""
        return self.availability.retail if market == "retail" else self.availability.wholesale

    def price_in(self, market: contract.Market) -> Money:
        """What one piece costs there."""
        return self.retail_price if market == "retail" else self.wholesale_price

    def for_market(self, market: contract.Market) -> contract.Product:
        """The product as somebody sees it who buys in this market."""
        return contract.Product(**self._seen(), price=self.price_in(market))

    def for_staff(self) -> contract.Product:
        """The product with both prices; the one that staff would pay themselves is the retail price."""
        return contract.Product(
            **self._seen(),
            price=self.retail_price,
            retail_price=self.retail_price,
            wholesale_price=self.wholesale_price,
        )

    def announcement(self) -> dict[str, JsonValue]:
        """What `product.created` and `product.changed` tell: all but the description, which may be long."""
        told: dict[str, JsonValue] = self.model_dump(mode="json", exclude={"description"})
        return told

    def _seen(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in _SEEN_BY_ALL}

    def _require_prices(self) -> None:
        if self.retail_price.currency != self.wholesale_price.currency:
            raise CurrencyMismatch("retail_price and wholesale_price must have the same currency")
        if self.retail_price.amount <= 0 or self.wholesale_price.amount <= 0:
            raise InvalidPrice("a price must be more than zero")


_SEEN_BY_ALL = [field for field in Product.model_fields if field not in ("retail_price", "wholesale_price")]
