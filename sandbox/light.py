"""What the runner uses of modules that would take longer to load than a box takes to start: 14 of 21 ms.

Standard library only; a copy lies in the image.
"""

from __future__ import annotations

import _ctypes

TYPE_CHECKING = False  # a box does without the import of `typing`
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # `signal` without its enumerations

__all__ = ["become_undumpable", "signal", "suppress"]

PR_SET_DUMPABLE = 4


class suppress:  # noqa: N801 - `contextlib.suppress`, without `functools` and `collections`
    """In its block, these errors end the block and are ignored."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)


def become_undumpable() -> None:
    """Close this process's memory and descriptors to others of its user.

    Raises:
        OSError: the kernel refused.
    """
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None is this program itself
    if _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0)) != 0:
        raise OSError("prctl was refused")
