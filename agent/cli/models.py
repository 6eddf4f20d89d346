"""Commands about models: `ratchet models ...`."""

from __future__ import annotations

import typer

from agent.cli.options import DEFAULT_CONFIG, ConfigPath, load, terminal

app = typer.Typer(help="Try the configured models.", no_args_is_help=True, rich_markup_mode=None)


@app.command("test")
def models_test(path: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a few tiny calls per role and show what works.

    Shows latency, tokens, price and the features that the endpoint supports.
    """
    import asyncio

    from agent.models.gateway.features import try_models
    from agent.review.terminal.calls import print_tried

    tried = asyncio.run(try_models(load(path, {}).models))
    raise typer.Exit(0 if print_tried(tried, terminal()) else 2)
