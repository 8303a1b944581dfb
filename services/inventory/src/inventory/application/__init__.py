"""The use cases of the inventory service, and what they need of the outside."""
