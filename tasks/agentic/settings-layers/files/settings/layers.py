"""Puts layers on top of each other."""

PREFIX = "APP_"


def merge(layers):
    """Later layers win."""
    merged = {}
    for layer in layers:
        merged.update(layer)
    return merged


def override(values, environ):
    """APP_SECTION__KEY in the environment wins over section.key, if that setting exists."""
    by_variable = {PREFIX + name.upper().replace(".", "__"): name for name in values}
    return {**values, **{by_variable[name]: value for name, value in environ.items() if name in by_variable}}
