from catalogue.store import Catalogue, Product

__all__ = ["Catalogue", "Product"]
