import os


def mtime(name):
    return int(os.path.getmtime(name))


def stale(rule, built):
    """Whether a target must be built."""
    if not os.path.exists(rule.target):
        return True
    return any(need in built or mtime(need) >= mtime(rule.target) for need in rule.needs)
