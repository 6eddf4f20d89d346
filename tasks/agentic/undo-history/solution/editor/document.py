from contextlib import contextmanager

from editor.history import Change, History
from editor.marks import Marks


class Document:
    def __init__(self, text="", limit=1000):
        self.text, self._marks, self._history = text, Marks(), History(limit)
        self._group, self._touched = None, {}

    @property
    def marks(self):
        return dict(self._marks.places)

    @property
    def modified(self):
        return bool(self._group) or self._history.state is not self._history.saved

    def save(self):
        self._history.close()
        self._history.saved = self._history.state

    def set_mark(self, name, place):
        if not 0 <= place <= len(self.text):
            raise IndexError(place)
        self._marks.places[name] = place
        self._forget_mark(name)

    def remove_mark(self, name):
        self._marks.places.pop(name, None)
        self._forget_mark(name)

    def _forget_mark(self, name):
        """What the hand did to a mark wins over what steps remember of it."""
        self._history.close()
        steps = [step.changes for step in [*self._history.done, *self._history.undone]]
        for changes in [*steps, self._group or []]:
            for change in changes:
                change.before.pop(name, None)
                change.after.pop(name, None)

    def insert(self, at, text):
        if not 0 <= at <= len(self.text):
            raise IndexError(at)
        self._do(Change(at, "", text))

    def delete(self, at, count):
        if count < 0 or not 0 <= at <= at + count <= len(self.text):
            raise IndexError((at, count))
        self._do(Change(at, self.text[at : at + count], ""))

    def _do(self, change):
        if not change.gone and not change.come:
            return
        before = self.marks
        self._apply(change.at, change.gone, change.come)
        moved = {name for name, place in before.items() if self._marks.places.get(name) != place}
        change.before = {name: before[name] for name in moved}
        change.after = {name: self._marks.places.get(name) for name in moved}
        if self._group is None:
            self._history.add([change], joins=True)
        else:
            self._group.append(change)

    def _apply(self, at, gone, come):
        self.text = self.text[:at] + come + self.text[at + len(gone) :]
        if gone:
            self._marks.deleted(at, len(gone))
        if come:
            self._marks.inserted(at, len(come))

    def _back(self, change):
        self._apply(change.at, change.come, change.gone)
        self._restore(change.before)

    def _again(self, change):
        self._apply(change.at, change.gone, change.come)
        self._restore(change.after)

    def _restore(self, places):
        for name, place in places.items():
            if place is None:
                self._marks.places.pop(name, None)
            else:
                self._marks.places[name] = place

    def _no_group(self):
        if self._group is not None:
            raise RuntimeError("not inside a group")
        self._history.close()

    def undo(self):
        self._no_group()
        if not self._history.done:
            return False
        step = self._history.done.pop()
        for change in reversed(step.changes):
            self._back(change)
        self._history.undone.append(step)
        return True

    def redo(self):
        self._no_group()
        if not self._history.undone:
            return False
        step = self._history.undone.pop()
        for change in step.changes:
            self._again(change)
        self._history.done.append(step)
        return True

    @contextmanager
    def group(self):
        if self._group is not None:
            start = len(self._group)
            try:
                yield
            except BaseException:
                self._take_back(start)
                raise
            return
        self._history.close()
        self._group = []
        try:
            yield
        except BaseException:
            self._take_back(0)
            self._group = None
            raise
        changes, self._group = self._group, None
        if changes:
            self._history.add(changes, joins=False)

    def _take_back(self, start):
        for change in reversed(self._group[start:]):
            self._back(change)
        del self._group[start:]

    def replace_all(self, old, new):
        """Every place of `old`, from left to right; how many."""
        if old == new:
            return self.text.count(old) if old else 0
        with self.group():
            count, at = 0, self.text.find(old) if old else -1
            while at >= 0:
                self.delete(at, len(old))
                self.insert(at, new)
                count, at = count + 1, self.text.find(old, at + len(new))
        return count
