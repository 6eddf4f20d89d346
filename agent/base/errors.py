"""The tree of errors; the first level says whose fault it is.

RatchetError
├── CandidateFault     a result: score 0 or a refusal, with the reason kept; never stops a campaign
│   └── Refused          the boundary, or git, did not admit a patch
├── InfrastructureError    no score: the trial is void on both sides, retried, then the campaign pauses
│   ├── SandboxDown      the container engine, or its disk, failed
│   ├── Starved          other programs on the machine took the processor time of a box
│   ├── BudgetSpent      the campaign's hard limit refused a call in the middle of a trial
│   ├── ProviderDown     a model provider failed after all retries
│   └── RecordBroken     the ledger or the git repository cannot be written
└── UserError          one line that names the field and the fix; exit code 2

Nothing else may be raised on purpose by trusted code. Any other exception is a defect of Ratchet, except where
bytes of a candidate are parsed: there `from_candidate` makes it the candidate's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RatchetError(Exception):
    """Root of every error that Ratchet raises on purpose."""


class CandidateFault(RatchetError):
    """The candidate did it: recorded as a result with its reason."""


class Refused(CandidateFault):
    """A patch was not admitted."""


class InfrastructureError(RatchetError):
    """The infrastructure failed: the trial in progress is void and is never scored.

    `under_way` names the trials whose model calls were under way when a provider failed; empty where no call was.
    `early` says that it came before any code of a candidate ran, so that it can hide nothing.
    """

    under_way: frozenset[str] = frozenset()
    early: bool = False


class SandboxDown(InfrastructureError):
    """The container engine failed, is gone, or has no disk left."""


class Starved(InfrastructureError):
    """Programs outside of every box withheld so much processor time that the trial measures them, not the scaffold."""


class BudgetSpent(InfrastructureError):
    """A hard limit of the campaign was reached while a trial was in progress, which is void."""


class ProviderDown(InfrastructureError):
    """A model provider did not answer after all retries."""


class RecordBroken(InfrastructureError):
    """The ledger or the repository could not be read or written."""


class UserError(RatchetError):
    """The user can fix it: names the field and the fix in one line.

    Args:
        field: what is wrong, as the user wrote it (a config key, an option, a path).
        problem: what is wrong with it.
        fix: what to do about it, as a command or an edit.
    """

    def __init__(self, field: str, problem: str, fix: str) -> None:
        super().__init__(f"{field}: {problem}. {fix}")
        self.field, self.problem, self.fix = field, problem, fix

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.field, self.problem, self.fix)


@contextmanager
def from_candidate(what: str) -> Iterator[None]:
    """Around every parser of a candidate's bytes: whatever it raises is the candidate's fault.

    Our own errors pass as they are. `what` names the bytes in the message.

    Raises:
        CandidateFault: in place of any exception that is not a RatchetError.
    """
    try:
        yield
    except RatchetError:
        raise
    except Exception as error:
        raise CandidateFault(f"{what} cannot be read: {type(error).__name__}: {error!s:.200}") from error
