"""Layered settings."""

from settings.errors import SettingsError
from settings.model import Settings, load

__all__ = ["Settings", "SettingsError", "load"]
