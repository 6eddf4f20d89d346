"""What is compared: each system, its package at a pinned version, and the driver that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RATCHET: Final = "ratchet"
RULES: Final = "rules"


@dataclass(frozen=True)
class System:
    """One row of the tables. `package` is None for what runs in our own environment."""

    name: str
    driver: str
    package: str | None = None
    version: str | None = None
    variant: str | None = None
    main_only: bool = False
    """Only in the world where effects add."""

    @property
    def requirement(self) -> str | None:
        """What pip is asked for."""
        return f"{self.package}=={self.version}" if self.package else None


def _rule(name: str) -> System:
    return System(name=name, driver="drive_rules", variant=name)


SYSTEMS: Final = (
    *(System(name=f"ratchet, {v}", driver="drive_ratchet", variant=v) for v in ("coupled", "independent")),
    *(
        System(name=f"ratchet, {v}", driver="drive_ratchet", variant=v, main_only=True)
        for v in ("coupled-one-file", "coupled-one-line", "coupled-unproven", "independent-unproven")
    ),
    *(
        System(name=f"gepa, minibatch {n}", driver="drive_gepa", package="gepa", version="0.1.4", variant=n)
        for n in ("3", "10")
    ),
    System(name="agentdescent", driver="drive_agentdescent", package="agentdescent", version="0.7.0"),
    System(name="harness-evolve", driver="drive_harness_evolve", package="harness-evolve", version="0.3.0"),
    System(name="openevolve", driver="drive_openevolve", package="openevolve", version="0.4.1"),
    System(name="shinkaevolve", driver="drive_shinka", package="shinka-evolve", version="0.0.7"),
    System(name="evo", driver="drive_evo", package="evo-hq-cli", version="0.8.0"),
    *map(_rule, ("evo-rule", "hill-climbing", "dgm-rule", "hgm-rule", "pace-rule")),
)

MAIN_WORLD: Final = "add"
OTHER_WORLDS: Final = ("mechanisms", "some-tasks", "nothing", "needle")
BUDGETS: Final = (500, 2000, 6000)
REPETITIONS: Final = 20
