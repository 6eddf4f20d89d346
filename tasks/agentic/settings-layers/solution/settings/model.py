import os
from pathlib import Path

from settings.errors import SettingsError
from settings.layers import merge, override
from settings.parse import parse
from settings.resolve import Resolver


class Settings:
    """Merged settings."""

    def __init__(self, values, final=frozenset(), environ=None):
        self._values = values
        self._resolver = Resolver(values, final, os.environ if environ is None else environ)

    def get(self, name):
        if name not in self._values:
            raise SettingsError(f"no setting {name}")
        return self._resolver.get(name)

    def names(self):
        return sorted(self._values)

    def as_dict(self):
        return {name: self.get(name) for name in self.names()}


def load(paths, environ=None):
    """Read files, lowest layer first, and the environment (os.environ unless given)."""
    environ = os.environ if environ is None else environ
    layers = [parse(Path(path).read_text(encoding="utf-8"), str(path)) for path in paths]
    values, final = override(merge(layers), environ)
    return Settings(values, final, environ)
