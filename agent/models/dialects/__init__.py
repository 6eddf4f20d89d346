"""What clients and providers speak: checks, translation, streams."""
