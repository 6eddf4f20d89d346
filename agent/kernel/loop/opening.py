"""Open the record and the repository of a campaign that has begun.

Heavy imports happen inside the functions, so that `ratchet --help` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.base.errors import UserError

if TYPE_CHECKING:
    from agent.base.types import Suite
    from agent.config.campaign import Config
    from agent.config.control import CommitConfig
    from agent.config.layers import Layers
    from agent.config.models import ModelsConfig
    from agent.kernel.git.messages import CommitStyle
    from agent.kernel.git.repository import Repository
    from agent.kernel.record.ledger import Ledger

_WINDOWS = "windows"
IMPROVER = "improver"
"""The fact of the ledger that says which program wrote the patches."""


def open_ledger(config: Config) -> Ledger:
    """The record of a campaign that has begun, for reading beside its writer; an older one is renewed first.

    Raises:
        UserError: there is no such campaign.
    """
    from agent.kernel.record.ledger import Ledger
    from agent.kernel.record.lock import held
    from agent.kernel.record.store import is_older

    file = config.folder / "ledger.sqlite"
    if not file.exists():
        raise UserError("name", f"no campaign {config.name!r} in {config.runs}", "`ratchet run` begins one.")
    if is_older(file):
        with held(config.folder):
            Ledger(file).close()
    return Ledger(file, read_only=True)


def open_repository(config: Config, ledger: Ledger | None) -> Repository:
    """The repository whose scaffold is under improvement, as the campaign began, if it has. Raises UserError."""
    from agent.kernel.git.repository import Repository

    base = (ledger.recollect("base") if ledger else None) or config.scaffold.base
    scaffold, style = config.scaffold, style_of(config.commit)
    return Repository.open(scaffold.repo, config.name, scaffold.mutable, base, style=style, frozen=scaffold.frozen)


def scaffold_layers(config: Config, repository: Repository) -> Layers:
    """What installs the agent on the image; its COPY lines take files of the seed's commit. Raises UserError."""
    return repository.layers(config.scaffold.build, "scaffold.build")


def style_of(commit: CommitConfig) -> CommitStyle:
    """What the configuration says about commits, in git's terms."""
    from agent.kernel.git.messages import CommitStyle

    name, _, email = (commit.author or "").rstrip(">").partition(" <")
    sign = ("" if commit.sign else None) if isinstance(commit.sign, bool) else commit.sign
    return CommitStyle(sign=sign, author=(name, email) if commit.author else None)


def check_unchanged(config: Config, ledger: Ledger, suite: Suite) -> None:
    """Refuse to resume a campaign whose suite, mutable paths or seed differ from those that it started with."""
    from agent.kernel.loop.shown import SHARE

    for field, value in (*_fixed(config, suite).items(), (SHARE, config.search.shown)):
        known = ledger.recollect(field)
        if known is not None and known != value:
            raise UserError(field, f"was {known} when campaign {config.name} started", "Choose a new `name`.")
    check_error(config, ledger)


def check_error(config: Config, ledger: Ledger) -> None:
    """Refuse to resume a campaign whose gate would spend more error than its earlier tests left. Raises UserError.

    k tests with a spending of K may have used k / (k + K) of alpha. Under a spending of L later ones use L / (k + L):
    together no more than alpha where L is not larger than K.
    """
    from agent.kernel.loop.match import opened_with
    from agent.kernel.loop.settings import gate_settings

    now = gate_settings(config)
    for row in ledger.tests():
        opened = opened_with(ledger, row.id) if row.policy == "proven" else None
        if opened is None:
            continue
        then = opened.settings
        error, alpha, spending = "gate_options.error", "gate_options.alpha", "gate_options.spending"
        if now.control is not then.control:
            raise UserError(error, f"was {then.control} at gate test {row.id}", "Set it back, or choose a new `name`.")
        for field, value, known in ((alpha, now.level, then.level), (spending, now.spending, then.spending)):
            if value > known:
                problem = f"was {known} at gate test {row.id}, and {value} would spend more error than is left"
                raise UserError(field, problem, f"Set it to {known} or less, or choose a new `name`.")


def remember_fixed(config: Config, ledger: Ledger, suite: Suite) -> None:
    """Record what no later run of the campaign may change."""
    for field, value in _fixed(config, suite).items():
        ledger.remember(field, value)


def _fixed(config: Config, suite: Suite) -> dict[str, Any]:
    scaffold = config.scaffold
    return {
        "suite": suite.hash,
        "scaffold.mutable": list(scaffold.mutable),
        "seed": config.seed,
        "scaffold.frozen": list(scaffold.frozen),
        "scaffold.prepare": list(scaffold.prepare),
    }


def remember_windows(ledger: Ledger, models: ModelsConfig) -> None:
    """Record each model's context window, which boxes are told; a server may have reported it."""
    ledger.remember(_WINDOWS, {role: [model.context_window for model in models.of(role)] for role in models.roles})


def with_recorded_windows(config: Config, ledger: Ledger) -> Config:
    """The configuration with the windows of the campaign, so that a replay tells boxes what they were told then."""
    from agent.config.models import ModelsConfig

    known, models = ledger.recollect(_WINDOWS) or {}, config.models
    roles = {role: models.of(role) for role in models.roles}
    for role, given in roles.items():
        if len(windows := known.get(role, ())) == len(given):
            pairs = zip(given, windows, strict=True)
            roles[role] = tuple(model.model_copy(update={"context_window": window}) for model, window in pairs)
    return config.model_copy(update={"models": ModelsConfig(roles)})
