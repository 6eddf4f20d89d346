"""What a program says that would have needed a network: boxes have none."""

from __future__ import annotations

import re

_SAID = re.compile(
    r"could not resolve (?:host|proxy)|temporary failure in name resolution|temporary failure resolving"
    r"|name or service not known|network is unreachable|no address associated with hostname"
    r"|getaddrinfo (?:enotfound|eai_again)|no such host|failed to establish a new connection"
    r"|could not connect to (?:server|\S+:\d+)|unable to access 'https?://",
    re.IGNORECASE,
)


def needs_network(output: str) -> str | None:
    """The line of an output that tells of a network which is not there; None without one."""
    found = _SAID.search(output)
    if found is None:
        return None
    start = output.rfind("\n", 0, found.start()) + 1
    return output[start:].split("\n", 1)[0].strip()[:200]
