from lang.errors import LangError


class Scope:
    """Variables of a block."""

    def __init__(self, outer=None):
        self.names, self.outer = {}, outer

    def find(self, name, line):
        scope = self
        while scope:
            if name in scope.names:
                return scope
            scope = scope.outer
        raise LangError(f"unknown {name}", line)

    def declare(self, name, value, line):
        if name in self.names:
            raise LangError(f"{name} is declared already", line)
        self.names[name] = value
