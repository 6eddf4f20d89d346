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
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            if last is None:
                raise MkError(f"line {number}: a command before any rule")
            last.commands.append(line.strip())
            continue
        target, colon, needs = line.partition(":")
        target = target.strip()
        if not colon or len(target.split()) != 1 or ":" in needs:
            raise MkError(f"line {number}: neither rule nor command")
        if target in rules:
            raise MkError(f"line {number}: a second rule for {target}")
        last = rules[target] = Rule(target, needs.split())
    return rules
