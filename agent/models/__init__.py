"""The gateway: the one session through which model calls leave boxes, and sole holder of keys. Trusted."""
