class Line:
    """So many pieces of one product."""

    def __init__(self, product, count):
        if count <= 0:
            raise ValueError("a line needs at least one piece")
        self.product, self.count = product, count


class Order:
    """What one customer wants. `state` is "open", "reserved" or "cancelled"."""

    def __init__(self, customer, lines=()):
        self.customer = customer
        self.lines = list(lines)
        self.state = "open"

    def add(self, product, count=1):
        self.lines.append(Line(product, count))
        return self

    def pieces(self):
        return sum(line.count for line in self.lines)
