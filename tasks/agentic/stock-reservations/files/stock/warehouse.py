from stock.errors import OutOfStock, UnknownProduct


class Warehouse:
    """Counts pieces per product."""

    def __init__(self, counts=None):
        self._counts = dict(counts or {})

    def count(self, product):
        if product not in self._counts:
            raise UnknownProduct(product)
        return self._counts[product]

    def put(self, product, count):
        self._counts[product] = self._counts.get(product, 0) + count

    def take(self, product, count):
        there = self.count(product)
        if count > there:
            raise OutOfStock(product, count, there)
        self._counts[product] = there - count

    def snapshot(self):
        return dict(self._counts)
