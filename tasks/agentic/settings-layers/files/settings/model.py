import os
from pathlib import Path

from settings.errors import SettingsError
from settings.layers import merge, override
from settings.parse import parse


class Settings:
    """Merged settings."""

    def __init__(self, values):
        self._values = values

    def get(self, name):
        if name not in self._values:
            raise SettingsError(f"no setting {name}")
        return self._values[name]

    def names(self):
        return sorted(self._values)

    def as_dict(self):
        return {name: self.get(name) for name in self.names()}


def load(paths, environ=None):
    """Read files, lowest layer first, and the environment (os.environ unless given)."""
    environ = os.environ if environ is None else environ
    layers = [parse(Path(path).read_text(encoding="utf-8"), str(path)) for path in paths]
    return Settings(override(merge(layers), environ))
