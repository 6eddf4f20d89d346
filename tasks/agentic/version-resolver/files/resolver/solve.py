class Unsolvable(Exception):
    def __init__(self, packages):
        super().__init__("no versions of " + ", ".join(packages) + " go together")
        self.packages = packages


def solve(index, wanted):
    """index: {package: {version: {package: constraint}}}, wanted: {package: constraint}."""
    raise NotImplementedError
