from dataclasses import dataclass

from catalogue import query


@dataclass(frozen=True)
class Product:
    sku: str
    title: str
    price: int
    tags: tuple = ()


class Catalogue:
    """Products in the order in which they were added; a changed product keeps its place."""

    def __init__(self):
        self._products = []

    def add(self, product):
        """Raises ValueError if there is one with this sku."""
        if product.sku in [p.sku for p in self._products]:
            raise ValueError(f"{product.sku} is there already")
        self._products.append(product)

    def change(self, product):
        """Put a product in the place of the one with the same sku. Raises KeyError."""
        self._products[self._place(product.sku)] = product

    def remove(self, sku):
        """Raises KeyError."""
        del self._products[self._place(sku)]

    def get(self, sku):
        return self._products[self._place(sku)]

    def __len__(self):
        return len(self._products)

    def _place(self, sku):
        for place, product in enumerate(self._products):
            if product.sku == sku:
                return place
        raise KeyError(sku)

    def search(self, text, *, tag=None, limit=10):
        return query.search(self._products, text, tag, limit)

    def suggest(self, prefix, limit=5):
        return query.suggest(self._products, prefix, limit)
