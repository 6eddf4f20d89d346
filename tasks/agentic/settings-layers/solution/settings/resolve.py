"""Replaces references in values."""

from settings.errors import SettingsError


class Resolver:
    """Resolves one setting at a time. `final` names those whose value is taken as it is."""

    def __init__(self, values, final, environ):
        self._values, self._final, self._environ = values, final, environ

    def get(self, name, path=()):
        if name in path:
            raise SettingsError("cycle: " + " -> ".join([*path[path.index(name) :], name]))
        value = self._values[name]
        return value if name in self._final else self._expand(value, name, (*path, name))

    def _expand(self, text, name, path):
        out, at = [], 0
        while at < len(text):
            if text.startswith("$$", at):
                out.append("$")
                at += 2
            elif text.startswith("${", at):
                end = self._end(text, at, name)
                out.append(self._reference(text[at + 2 : end], name, path))
                at = end + 1
            else:
                out.append(text[at])
                at += 1
        return "".join(out)

    def _end(self, text, start, name):
        depth, at = 0, start
        while at < len(text):
            if text.startswith("$$", at):
                at += 2
            elif text.startswith("${", at):
                depth += 1
                at += 2
            elif text[at] == "}":
                depth -= 1
                if not depth:
                    return at
                at += 1
            else:
                at += 1
        raise SettingsError(f"{name}: '${{' without '}}' in {text!r}")

    def _reference(self, body, name, path):
        target, given, default = body.partition(":-")
        target = target.strip()
        if target.startswith("env:"):
            if target[4:] in self._environ:
                return self._environ[target[4:]]
        elif target in self._values:
            return self.get(target, path)
        if given:
            return self._expand(default, name, path)
        raise SettingsError(f"{name}: nothing is called ${{{target}}}")
