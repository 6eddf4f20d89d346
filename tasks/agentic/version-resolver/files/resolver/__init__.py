from resolver.solve import Unsolvable, solve

__all__ = ["Unsolvable", "solve"]
