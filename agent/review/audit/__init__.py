"""Recompute and repeat what a campaign claims."""
