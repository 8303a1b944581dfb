"""The saga that brings a placed order to its end."""
