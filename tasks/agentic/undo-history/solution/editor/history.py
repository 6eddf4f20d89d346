"""Steps that can be taken back and done again."""

from dataclasses import dataclass, field

LONGEST = 20


@dataclass
class Change:
    """At `at`, `gone` was replaced by `come`; one of the two is empty. `before`, `after`: the marks that the change moved or lost (None)."""

    at: int
    gone: str
    come: str
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)


@dataclass
class Step:
    changes: list
    kind: str = ""  # "insert", "back" or "forward" while it may go on
    state: object = field(default_factory=object)  # of the document after the step


class History:
    def __init__(self, limit):
        self.limit, self.done, self.undone = limit, [], []
        self.first = self.saved = object()
        self.open = False

    @property
    def state(self):
        return self.done[-1].state if self.done else self.first

    def close(self):
        self.open = False

    def add(self, changes, joins):
        """A new step, or more of the last one."""
        self.undone.clear()
        last = self.done[-1] if self.done else None
        if joins and self.open and last and (kind := self._continues(last, changes[0])):
            last.kind, last.state = kind, object()
            last.changes += changes
        else:
            self.done.append(Step(changes))
            if len(self.done) > self.limit:
                self.first = self.done.pop(0).state
        self.open = joins

    def _continues(self, step, change):
        """How a change goes on with a step; "" if it does not."""
        last = step.changes[-1]
        if "\n" in change.come + change.gone + last.come + last.gone:
            return ""
        if sum(len(c.come) + len(c.gone) for c in step.changes) + len(change.come) + len(change.gone) > LONGEST:
            return ""
        if change.come:
            return "insert" if last.come and change.at == last.at + len(last.come) else ""
        if not last.gone:
            return ""
        kinds = {"back": change.at + len(change.gone) == last.at, "forward": change.at == last.at}
        return next((kind for kind, fits in kinds.items() if fits and step.kind in {"", kind}), "")
