"""What an installed wheel shows of itself: its only top-level name, which leads to everything else.

In a wheel this file is `ratchet_rsi/__init__.py`, and `agent`, `sandbox`, `tasks`, `prompts` and `recipes` lie in
`ratchet_rsi/house`: names that short do not belong into everybody's site-packages. In a checkout there is no
`house`, and the packages are found where they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HOUSE = Path(__file__).parent / "house"


def main() -> None:
    """Run the command line of the installed package."""
    if _HOUSE.is_dir():
        sys.path.insert(0, str(_HOUSE))
    from agent.cli.app import main as run

    run()
