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

    console, answered = terminal(), list[bool]()
    models = load(path, {}).models
    count = sum(len(models.of(role)) for role in models.roles)
    typer.echo(f"making a few small calls to each of {count} models, one after the other", err=True)
    asyncio.run(try_models(models, told=lambda one: answered.append(print_tried(one, console))))
    raise typer.Exit(0 if all(answered) else 2)
