from lang.errors import LangError
from lang.interpret import run

__all__ = ["LangError", "run"]
