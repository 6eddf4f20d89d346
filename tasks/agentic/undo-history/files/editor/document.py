from editor.marks import Marks


class Document:
    def __init__(self, text=""):
        self.text, self._marks = text, Marks()

    @property
    def marks(self):
        return dict(self._marks.places)

    def set_mark(self, name, place):
        if not 0 <= place <= len(self.text):
            raise IndexError(place)
        self._marks.places[name] = place

    def remove_mark(self, name):
        self._marks.places.pop(name, None)

    def insert(self, at, text):
        if not 0 <= at <= len(self.text):
            raise IndexError(at)
        self.text = self.text[:at] + text + self.text[at:]
        self._marks.inserted(at, len(text))

    def delete(self, at, count):
        if count < 0 or not 0 <= at <= at + count <= len(self.text):
            raise IndexError((at, count))
        self.text = self.text[:at] + self.text[at + count :]
        self._marks.deleted(at, count)

    def replace_all(self, old, new):
        """Every place of `old`, from left to right; how many."""
        count, at = 0, self.text.find(old) if old else -1
        while at >= 0:
            self.delete(at, len(old))
            self.insert(at, new)
            count, at = count + 1, self.text.find(old, at + len(new))
        return count
