"""The tests. A package of its own, because a client of a payment provider installs one of the same name."""
