class OutOfStock(Exception):
    """There is less of a product than was asked for."""

    def __init__(self, product, wanted, there):
        super().__init__(f"{product}: {wanted} wanted, {there} in stock")
        self.product, self.wanted, self.there = product, wanted, there


class UnknownProduct(KeyError):
    """The warehouse never held such a product."""
