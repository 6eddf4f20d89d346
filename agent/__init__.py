"""Ratchet: an agent that rewrites its own scaffold, and commits only what is shown to score better."""
