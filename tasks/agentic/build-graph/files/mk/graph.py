from mk.parse import MkError


def order(rules, target):
    """The target and all that it needs, each after what it needs."""
    found = []

    def visit(name):
        if name in rules:
            for need in rules[name].needs:
                visit(need)
        found.append(name)

    visit(target)
    return found
