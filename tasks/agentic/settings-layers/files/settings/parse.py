"""Reads one file: `[section]`, `key = value`, comments with `#` or `;` at the beginning of a line."""

from settings.errors import SettingsError


def parse(text, source="text"):
    """A flat dictionary: "section.key" -> value."""
    found, section = {}, ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            continue
        if "=" not in line:
            raise SettingsError(f"{source}:{number}: no '='")
        key, value = line.split("=", 1)
        name = f"{section}.{key.strip()}" if section else key.strip()
        found[name] = value.strip()
    return found
