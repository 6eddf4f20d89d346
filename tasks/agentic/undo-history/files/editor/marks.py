class Marks:
    """Named places in a text. A place is the number of characters before it."""

    def __init__(self):
        self.places = {}

    def inserted(self, at, count):
        """Text came in: places behind it move; a place right at it stays before the new text."""
        for name, place in self.places.items():
            if place > at:
                self.places[name] = place + count

    def deleted(self, at, count):
        """Text went: places behind it move; those inside (not at its edges) are lost."""
        for name, place in list(self.places.items()):
            if place >= at + count:
                self.places[name] = place - count
            elif place > at:
                del self.places[name]
