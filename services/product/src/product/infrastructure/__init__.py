"""The catalogue in D1."""
