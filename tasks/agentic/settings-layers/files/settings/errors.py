class SettingsError(Exception):
    """A settings file or a value in it is wrong."""
