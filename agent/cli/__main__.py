"""`python -m agent.cli`: the command line without the installed script."""

from __future__ import annotations

from agent.cli.app import main

main()
