from export.convert import convert

__all__ = ["convert"]
