from itertools import combinations

from resolver.constraints import compiled, fits
from resolver.versions import parse

ROOT = ""


class Unsolvable(Exception):
    def __init__(self, packages):
        super().__init__("no versions of " + ", ".join(packages) + " go together")
        self.packages = packages


class _Search:
    """Depth first with back-jumping: a failure names the settled packages that caused it."""

    def __init__(self, index, wanted):
        self.index, self.settled = index, {}
        self.demands = {}  # package -> [(who, constraint)]
        for name, constraint in wanted.items():
            self.demands.setdefault(name, []).append((ROOT, constraint))
        self.versions = {name: sorted(versions, key=parse, reverse=True) for name, versions in index.items()}

    def run(self):
        """None if all went well, else the set of packages that the failure depends on."""
        open_ = [name for name, who in self.demands.items() if who and name not in self.settled]
        if not open_:
            return None
        name = min(open_)
        blame = set()
        for version in self.versions.get(name, []):
            guilty = self._enter(name, version)
            if guilty is None:
                guilty = self.run()
                if guilty is None:
                    return None
                self._leave(name, version)
                if name not in guilty:
                    return guilty
            blame |= guilty
        # That the package was needed at all is the doing of everyone who demands it.
        return (blame - {name}) | {who for who, _ in self.demands[name]}

    def _enter(self, name, version):
        """Settle a version; if that cannot be, the packages that forbid it, and nothing is changed."""
        for who, constraint in self.demands[name]:
            if not fits(version, constraint):
                return {who}
        needs = self.index[name][version]
        for need, constraint in needs.items():
            chosen = version if need == name else self.settled.get(need)
            if chosen is not None and not fits(chosen, constraint):
                return {need}
        self.settled[name] = version
        for need, constraint in needs.items():
            self.demands.setdefault(need, []).append((name, constraint))
        return None

    def _leave(self, name, version):
        del self.settled[name]
        for need in self.index[name][version]:
            self.demands[need].pop()


def _answer(index, wanted):
    search = _Search(index, wanted)
    return search.settled if search.run() is None else None


def solve(index, wanted):
    """index: {package: {version: {package: constraint}}}, wanted: {package: constraint}."""
    for constraint in [*wanted.values(), *(c for vs in index.values() for needs in vs.values() for c in needs.values())]:
        compiled(constraint)
    found = _answer(index, wanted)
    if found is not None:
        return found
    for size in range(1, len(wanted) + 1):
        for names in combinations(sorted(wanted), size):
            if _answer(index, {name: wanted[name] for name in names}) is None:
                raise Unsolvable(list(names))
    raise AssertionError("a set that cannot be solved can be")
