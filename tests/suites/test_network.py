"""A reference that fails for want of a network is told from one that fails otherwise."""

from __future__ import annotations

import pytest

from agent.base.types import Grade, Split, Task
from agent.suites.check import Flaw, judge
from agent.suites.network import needs_network

TASK = Task(id="t", split=Split.GATE, instruction="x", files={}, submit=("a",), tests={"h": b"1"}, check=("c",))


@pytest.mark.parametrize(
    "said",
    [
        "curl: (6) Could not resolve host: example.org",
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "fatal: unable to access 'https://github.com/a/b/': Could not resolve host",
        "npm ERR! getaddrinfo EAI_AGAIN registry.npmjs.org",
        "urllib3: Failed to establish a new connection: [Errno 101] Network is unreachable",
        "dial tcp: lookup proxy.golang.org: no such host",
    ],
)
def test_the_line_that_tells_of_a_missing_network_is_found(said: str) -> None:
    assert needs_network(f"begin\n  {said}\nend\n") == said


def test_other_failures_are_not_blamed_on_the_network() -> None:
    assert needs_network("AssertionError: host 'a' != 'b'\nconnection closed\n") is None


def test_a_reference_without_its_network_is_a_finding_of_its_own() -> None:
    lost = Grade(score=0.0, reason="0 of 1", output="E  requests: Temporary failure in name resolution\n")
    for output, kind in ((lost.output, Flaw.NETWORK), ("assert 1 == 2", Flaw.UNSOLVABLE)):
        grade = Grade(score=0.0, reason="0 of 1", output=output)
        proof = judge(TASK, {"starter": grade, "reference": grade, "reference again": grade})
        assert [found for found, _ in proof.findings] == [kind]
