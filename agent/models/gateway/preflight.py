"""One trivial call to every configured model before anything is spent."""

from __future__ import annotations

from agent.base.errors import UserError
from agent.models.gateway.server import GatewayServer
from agent.models.ports import Trouble


async def preflight(gateway: GatewayServer) -> None:
    """Raise UserError for a dead endpoint, a refused key or an unknown model, naming the role."""
    for role in gateway.models.roles:
        for upstream in gateway.upstreams(role):
            try:
                await upstream.health.probe()
            except Trouble as trouble:
                model = upstream.model
                where = model.base_url or model.provider
                problem = gateway.redactor.text(f"{model.name} at {where} does not work: {trouble}")
                fix = "Start that server, or fix `base_url`, `model` or the key."
                raise UserError(f"models.{role}", problem, fix) from trouble
