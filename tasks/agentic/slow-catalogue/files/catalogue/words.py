import re


def words(text):
    """The words of a text in lower case, in order."""
    return re.findall(r"[a-z0-9]+", text.lower())
