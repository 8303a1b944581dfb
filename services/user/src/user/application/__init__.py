"""What the service does for its callers: load, decide, save."""
