from dataclasses import dataclass, field


class JoinError(Exception):
    """The input cannot be joined; the message is for the user."""


@dataclass
class Table:
    columns: list
    rows: list = field(default_factory=list)
    source: str = ""

    def index(self, name):
        if name not in self.columns:
            raise JoinError(f"{self.source}: there is no column {name!r}")
        return self.columns.index(name)
