"""Boxes: hardened containers that run what a model wrote, and tell whose fault it is when they fail."""
