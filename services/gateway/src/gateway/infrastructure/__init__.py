"""What the gateway uses of the platform besides Service Bindings."""
