import os

from mk.parse import MkError


def order(rules, targets):
    """The rules of the targets and all that they need, each after what it needs. Raises MkError."""
    found, state = [], {}
    for target in targets:
        if target not in rules:
            raise MkError(f"no rule for {target}")
        if target in state:
            continue
        path, stack = [target], [iter(rules[target].needs)]
        state[target] = "open"
        while stack:
            need = next(stack[-1], None)
            if need is None:
                stack.pop()
                name = path.pop()
                state[name] = "done"
                found.append(rules[name])
            elif state.get(need) == "open":
                raise MkError("cycle: " + " -> ".join([*path[path.index(need) :], need]))
            elif need in rules:
                if need not in state:
                    state[need] = "open"
                    path.append(need)
                    stack.append(iter(rules[need].needs))
            elif not os.path.exists(need):
                raise MkError(f"no rule for {need}, needed by {path[-1]}")
    return found
