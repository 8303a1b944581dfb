"""The part of pytest-xdist that the tests use; it brings no types of its own."""
