"""What two contexts need and no context owns."""
