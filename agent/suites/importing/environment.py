"""A Dockerfile as the importers carry it: image, layers, working directory and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.base.types import NO_FILES, Files


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Dockerfile in the words of the native format."""

    image: str
    build: tuple[str, ...]
    workdir: str
    files: Files
    baked: Files = field(default_factory=lambda: NO_FILES)
    """Copied files that the image itself holds, by their paths in it."""
    remarks: tuple[str, ...] = ()
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """What `COPY --from` in `build` takes from: instructions by name, the first one FROM."""
    left_out: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What COPY would have put into the image and must not: paths in the build context, by those in the image."""

    @property
    def checked(self) -> Files:
        """Starting files that are also in the image, for a RUN."""
        return {path: body for path, body in self.baked.items() if path.startswith(f"{self.workdir}/")}
