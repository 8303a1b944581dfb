"""The stock of one product in one warehouse: how many pieces can be had, and what a count may change."""

from pydantic import BaseModel, ConfigDict

from inventory.domain.errors import StockChanged, StockReserved


class Level(BaseModel):
    """The counters of one product in one warehouse, and where that warehouse is.

    `overdue` pieces are those of `reserved` whose hold has run out but was not swept yet. Version 0 is a
    product that this warehouse has never had.
    """

    model_config = ConfigDict(frozen=True)

    product_id: str
    warehouse_id: str
    warehouse_code: str
    latitude: float
    longitude: float
    on_hand: int = 0
    reserved: int = 0
    overdue: int = 0
    low_stock_threshold: int = 0
    version: int = 0

    @property
    def available(self) -> int:
        """The pieces that can be reserved at this moment; those of overdue holds only after a sweep."""
        return self.on_hand - self.reserved

    @property
    def low(self) -> bool:
        """Whether no more is available than the threshold."""
        return self.available <= self.low_stock_threshold

    def counted(self, on_hand: int, low_stock_threshold: int, expected_on_hand: int | None) -> "Level":
        """The level after a count of the shelf.

        StockChanged when the shelf does not hold what the counter expected, StockReserved when fewer pieces
        would be left than are reserved.
        """
        if expected_on_hand is not None and expected_on_hand != self.on_hand:
            raise StockChanged(
                f"{self.on_hand} pieces are on hand, not {expected_on_hand}", details={"on_hand": self.on_hand}
            )
        if on_hand < self.reserved:
            raise StockReserved(f"{self.reserved} pieces are reserved for orders", details={"reserved": self.reserved})
        changes = {"on_hand": on_hand, "low_stock_threshold": low_stock_threshold, "version": self.version + 1}
        return self.model_copy(update=changes)

    def became_low(self, before: "Level") -> bool:
        """Whether the threshold was crossed downwards; a first count comes up from nothing and crosses none."""
        return self.low and not before.low
