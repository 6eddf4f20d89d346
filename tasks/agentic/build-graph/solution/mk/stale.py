import os


def mtime(name):
    """Nanoseconds; None if there is no such file."""
    try:
        return os.stat(name).st_mtime_ns
    except FileNotFoundError:
        return None


class Times:
    """How new a name is, looking through rules that stand for their dependencies."""

    def __init__(self, rules):
        self._rules = rules

    def _files(self, name, seen):
        if name in seen:
            return
        seen.add(name)
        rule = self._rules.get(name)
        if mtime(name) is None and rule and not rule.commands:
            for need in rule.needs:
                yield from self._files(need, seen)
        else:
            yield name

    def stale(self, rule, built):
        """Whether a rule must be carried out."""
        if any(need in built for need in rule.needs):
            return True
        own = mtime(rule.target)
        if own is None:
            return bool(rule.commands) or not rule.needs
        seen = {rule.target}
        times = [mtime(file) for need in rule.needs for file in self._files(need, seen)]
        return any(time is not None and time > own for time in times)
