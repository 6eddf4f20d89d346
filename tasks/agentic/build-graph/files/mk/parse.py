from dataclasses import dataclass, field


class MkError(Exception):
    """Something is wrong with the Mkfile or the request."""


@dataclass
class Rule:
    target: str
    needs: list
    commands: list = field(default_factory=list)


def parse(text):
    """Target -> rule, in the order of the file."""
    rules, last = {}, None
    for line in text.splitlines():
        line = line.split("#")[0]
        if not line.strip():
            last = None
        elif line[0] in " \t":
            last.commands.append(line.strip())
        else:
            target, needs = line.split(":")
            last = rules[target] = Rule(target, needs.split())
    return rules
