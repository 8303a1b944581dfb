"""What the inventory service refuses, and with which code."""

from shared_kernel.errors import Conflict, Fault, NotFound


class InsufficientInventory(Conflict):
    """There is less than was asked for; `details["missing"]` says of what."""

    code = "insufficient_inventory"


class ReservationEnded(Conflict):
    """The order's hold was released, which is for good, or has run out."""

    code = "reservation_ended"


class ReservationNotFound(NotFound):
    """The order never held anything."""

    code = "reservation_not_found"


class IllegalTransition(Fault):
    """Our own code asked a reservation for a change of status that does not exist."""

    code = "illegal_transition"


class StockChanged(Conflict):
    """Another count came between."""

    code = "stock_changed"


class StockReserved(Conflict):
    """Fewer pieces would be on hand than are reserved for orders."""

    code = "stock_reserved"


class WarehouseNotFound(NotFound):
    """There is no such warehouse."""

    code = "warehouse_not_found"


class CodeTaken(Conflict):
    """Another warehouse has this code."""

    code = "code_taken"
