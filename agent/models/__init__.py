"""The gateway: the one door through which model calls leave boxes, and sole holder of keys. Trusted."""
