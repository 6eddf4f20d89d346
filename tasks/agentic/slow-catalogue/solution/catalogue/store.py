from dataclasses import dataclass

from catalogue.query import Index


@dataclass(frozen=True)
class Product:
    sku: str
    title: str
    price: int
    tags: tuple = ()


class Catalogue:
    """Products in the order in which they were added; a changed product keeps its place."""

    def __init__(self):
        self._products = {}  # sku -> (place, product)
        self._next = 0
        self._index = Index()

    def add(self, product):
        """Raises ValueError if there is one with this sku."""
        if product.sku in self._products:
            raise ValueError(f"{product.sku} is there already")
        self._put(self._next, product)
        self._next += 1

    def _put(self, place, product):
        self._products[product.sku] = (place, product)
        self._index.add(place, product)

    def change(self, product):
        """Put a product in the place of the one with the same sku. Raises KeyError."""
        place, old = self._products[product.sku]
        self._index.remove(place, old)
        self._put(place, product)

    def remove(self, sku):
        """Raises KeyError."""
        self._index.remove(*self._products[sku])
        del self._products[sku]

    def get(self, sku):
        return self._products[sku][1]

    def __len__(self):
        return len(self._products)

    def search(self, text, *, tag=None, limit=10):
        return self._index.search(text, tag, limit)

    def suggest(self, prefix, limit=5):
        return self._index.suggest(prefix, limit)
