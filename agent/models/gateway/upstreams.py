"""The running models of a campaign: equal models of several roles are one upstream, with one set of limits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack

from agent.config.models import ModelConfig, ModelsConfig
from agent.models.gateway.line import StillClock
from agent.models.gateway.upstream import Upstream
from agent.models.ports import Asides, Learned, Provider
from agent.models.providers.build import build
from agent.models.redact import Redactor


class Upstreams:
    """Every model of every role. `given` replaces the provider of a role; `asides` makes a model's books."""

    def __init__(
        self,
        models: ModelsConfig,
        given: Mapping[str, Provider],
        redactor: Redactor,
        learned: Learned,
        asides: Callable[[str, ModelConfig], Asides],
    ) -> None:
        self._models, self._given, self._redactor, self._learned = models, dict(given), redactor, learned
        self._asides = asides
        self._running: dict[str, tuple[Upstream, ...]] = {}
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Make every provider ready, or none.

        Raises:
            UserError: an extra or a script is missing.
        """
        async with AsyncExitStack() as stack:
            shared: dict[ModelConfig, Upstream] = {}
            for role in self._models.roles:
                running = [await self._start(role, model, shared, stack) for model in self._models.of(role)]
                self._running[role] = tuple(running)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Let every provider go."""
        await self._stack.aclose()

    def of(self, role: str) -> tuple[Upstream, ...]:
        """The running models of a role."""
        return self._running[role]

    def all(self, roles: Iterable[str] | None = None) -> list[Upstream]:
        """The distinct upstreams of some roles, or of all."""
        chosen = self._running if roles is None else roles
        return list(dict.fromkeys(upstream for role in chosen for upstream in self._running[role]))

    def choose(self, role: str, name: str) -> Upstream:
        """One of the role's models by weight; the same for the same name of a call."""
        upstreams = self._running[role]
        if len(upstreams) == 1:
            return upstreams[0]
        point = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
        point *= sum(upstream.model.weight for upstream in upstreams)
        for upstream in upstreams:
            point -= upstream.model.weight
            if point < 0:
                return upstream
        return upstreams[-1]

    def _spending(self) -> set[StillClock]:
        return {box for upstream in self.all() for box in upstream.line.served()}

    async def _start(
        self, role: str, model: ModelConfig, shared: dict[ModelConfig, Upstream], stack: AsyncExitStack
    ) -> Upstream:
        given, endpoint = self._given.get(role), model.endpoint
        if given is None and endpoint in shared:
            return shared[endpoint]
        asides = self._asides(role, model)
        provider = given or build(model, self._redactor, self._learned, asides)
        upstream = Upstream(model, provider, asides, self._spending)
        stack.push_async_callback(upstream.close)
        await upstream.start()
        if given is None:
            shared[endpoint] = upstream
        return upstream
