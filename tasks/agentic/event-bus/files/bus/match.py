import fnmatch


def check(pattern):
    if not pattern:
        raise ValueError("empty pattern")


def matches(pattern, topic):
    return fnmatch.fnmatch(topic, pattern.replace("#", "*"))
