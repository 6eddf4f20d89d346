def words(text):
    """The words of a topic. Raises ValueError for an empty one."""
    found = text.split(".")
    if "" in found:
        raise ValueError(f"empty word in {text!r}")
    return found


def check(pattern):
    if "#" in words(pattern)[:-1]:
        raise ValueError("# may only be the last word")


def matches(pattern, topic):
    wanted, have = words(pattern), words(topic)
    if wanted[-1] == "#":
        wanted.pop()
        have = have[: len(wanted)]
    return len(wanted) == len(have) and all(w in {"*", h} for w, h in zip(wanted, have, strict=True))
