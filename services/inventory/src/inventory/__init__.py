"""The inventory service: where stock is, and for whom it is kept."""
