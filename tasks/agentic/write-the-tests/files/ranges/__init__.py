from ranges.core import Ranges

__all__ = ["Ranges"]
