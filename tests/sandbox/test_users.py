"""Which user ids boxes may have, told from what the engine says of itself."""

from __future__ import annotations

import pytest

from sandbox.users import MAPPED, OWN, any_user, users_of


@pytest.mark.parametrize(
    ("options", "users"),
    [
        (["name=seccomp,profile=default"], OWN),
        (["name=seccomp,profile=default", "name=rootless"], MAPPED),
        (["name=userns"], MAPPED),
        (None, OWN),
    ],
)
def test_an_engine_with_mapped_ids_gets_ids_that_it_can_map(options: list[str] | None, users: range) -> None:
    assert users_of({"SecurityOptions": options}) == users


def test_ids_are_in_their_range_and_rarely_meet() -> None:
    chosen = [any_user(OWN) for _ in range(100)]
    assert all(user in OWN for user in chosen)
    assert len(set(chosen)) > 95
