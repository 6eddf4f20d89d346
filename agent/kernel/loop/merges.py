"""Three-way merges of candidates' trees: by lines, and by definitions for Python in which lines conflict."""

from __future__ import annotations

from functools import partial

from agent.base.errors import Refused
from agent.kernel.git.repository import Repository
from agent.kernel.loop.reading import PythonWeaver
from agent.kernel.loop.threads import to_end


class Merges:
    """Merges trees of one repository. A result is a new patch: it must pass the boundary again."""

    def __init__(self, repository: Repository) -> None:
        self._repository, self._weaver = repository, PythonWeaver()

    async def merge(self, base: str, ours: str, theirs: str) -> str:
        """The tree of a three-way merge.

        Raises:
            Refused: both sides changed the same lines, and in Python the same definitions.
            InfrastructureError: the process that parses Python cannot be started.
        """
        try:
            return await to_end(partial(self._repository.merge, base, ours, theirs))
        except Refused:
            if (woven := await self._woven(base, ours, theirs)) is None:
                raise
            return woven

    async def _woven(self, base: str, ours: str, theirs: str) -> str | None:
        """The same, each file that conflicts merged by its definitions; None if one cannot be."""
        repository = self._repository
        partly, paths = await to_end(partial(repository.merged, base, ours, theirs))
        sides = [await to_end(partial(repository.read, tree, paths)) for tree in (base, ours, theirs)]
        woven = dict[str, bytes]()
        for path in paths:
            if not path.endswith(".py") or any(path not in side for side in sides):
                return None
            body = await self._weaver.weave(*(side[path] for side in sides))
            if body is None:
                return None
            woven[path] = body
        files = await to_end(partial(repository.read, partly))
        return await to_end(partial(repository.write, ours, {**files, **woven}))
