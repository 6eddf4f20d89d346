"""Local servers say what they offer; what they report of their windows is used where the configuration says nothing."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import yaml

from agent.config.models import ModelsConfig
from agent.models.ports import Json
from agent.models.providers import discovery

LISTED: dict[str, tuple[str, dict[str, Json]]] = {
    "vLLM": ("vllm", {"/v1/models": {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32768}]}}),
    "llama.cpp": (
        "llamacpp",
        {
            "/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}]},
            "/props": {"default_generation_settings": {"n_ctx": 32768}},
        },
    ),
    "Ollama": (
        "library",
        {
            "/v1/models": {"data": [{"id": "m", "owned_by": "library"}, {"id": "other", "owned_by": "library"}]},
            "/api/ps": {"models": [{"name": "m", "context_length": 32768}]},
        },
    ),
    "LM Studio": (
        "organization_owner",
        {
            "/v1/models": {"data": [{"id": "m", "owned_by": "organization_owner"}]},
            "/api/v0/models": {"data": [{"id": "m", "loaded_context_length": 32768, "max_context_length": 131072}]},
        },
    ),
}


def answering(pages: dict[str, Json]) -> Any:
    return lambda _, path: (200, pages[path]) if path in pages else (404, "404 page not found")


@pytest.mark.parametrize("name", LISTED)
async def test_a_local_server_is_found_and_its_block_can_be_pasted(serve: Any, name: str) -> None:
    async with serve(answering(LISTED[name][1])) as server:
        port = int(server.url.rpartition(":")[2])
        (found,) = await asyncio.to_thread(discovery.local_servers, {"somebody": port})
    assert (found.server, found.models[0]) == (name, ("m", 32768))
    models = ModelsConfig.model_validate(yaml.safe_load(found.block())["models"])
    assert models.of("improver")[0].context_window == 32768
    assert ("it also offers other" in found.block()) is (name == "Ollama")


async def test_a_port_where_nothing_or_something_else_listens_is_passed_over(serve: Any) -> None:
    async with serve(lambda *_: (200, "<html>hello")) as server:
        port = int(server.url.rpartition(":")[2])
        assert await asyncio.to_thread(discovery.local_servers, {"a": port, "b": 1}) == []


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
async def test_the_reported_window_is_used_unless_the_configuration_names_one(
    serve: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with serve(answering(LISTED["vLLM"][1])) as server:
        one = {"provider": "openai", "model": "m", "base_url": server.url + path}
        models = ModelsConfig.model_validate(
            {"solver": one, "improver": [{**one, "context_window": 4096}, {"provider": "embedded"}]}
        )
        made = await asyncio.to_thread(discovery.with_windows, models)
    assert [model.window for role in made.roles for model in made.of(role)] == [32768, 4096, 2048]


async def test_a_server_that_is_down_or_says_nonsense_reports_no_window(serve: Any) -> None:
    pages: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "max_model_len": "big"}, 3, {}]}, "/props": []}
    async with serve(answering(pages)) as server:
        models = {"solver": {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1"}}
        models["improver"] = {**models["solver"], "base_url": "http://127.0.0.1:1/v1"}
        made = await asyncio.to_thread(discovery.with_windows, ModelsConfig.model_validate(models))
    assert [model.window for model in made.all()] == [None, None]


async def test_a_hosted_server_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    one = {"provider": "openai", "model": "m", "base_url": "https://models.example.com/v1"}
    models = ModelsConfig.model_validate({"solver": one, "improver": {"provider": "anthropic", "model": "m"}})
    assert discovery.with_windows(models) == models


async def test_a_window_is_asked_for_over_a_certificate_of_the_user_s_own(serve: Any, certificate: Any) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serve(answering(LISTED["vLLM"][1]), tls) as server:
        one = {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1"}
        one["ca_file"] = str(certificate.parent / "only.pem")
        made = await asyncio.to_thread(discovery.with_windows, ModelsConfig.model_validate({"solver": one}))
    assert made.of("solver")[0].window == 32768
