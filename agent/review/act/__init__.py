"""Bring accepted patches to a branch, or take them back."""
