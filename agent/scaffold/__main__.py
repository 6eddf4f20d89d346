"""Entry point: solve the task of this box, or improve this program if that is the task."""

from __future__ import annotations

import sys

from agent.scaffold import loop, settings
from agent.scaffold.improve import improve
from agent.scaffold.model import Model, ModelError
from agent.scaffold.place import Place, say
from agent.scaffold.prompting import PromptError, render
from agent.scaffold.solve import solve


def main() -> int:
    """Do the task; 1 when the gateway or a prompt failed."""
    place, model = Place.here(), Model.here()
    try:
        window = model.window()
        weak = window is not None and window < settings.WEAK_WINDOW
        mode = settings.MODE if settings.MODE != "auto" else "single" if weak else "agent"
        say("Run", f"model {model.name}, window {window}, mode {mode}, seed {place.seed}")
        if place.improving:
            improve(model, place, mode, window)
        elif mode == "agent":
            listing = "\n".join(place.files())
            question = render("agent_task", instruction=place.instruction, files=listing)
            say("Finished", loop.work(model, place, question, window))
        else:
            solve(model, place, window)
    except (ModelError, PromptError) as error:
        say("Failed", f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
