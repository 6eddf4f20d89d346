from dataclasses import dataclass, field


class JoinError(Exception):
    """The input cannot be joined; the message is for the user."""


@dataclass
class Table:
    columns: list
    rows: list = field(default_factory=list)

    def index(self, name):
        return self.columns.index(name)
