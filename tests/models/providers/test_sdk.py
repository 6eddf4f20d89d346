"""Providers over HTTP as people run them: refusals, parameters that a model does not take, addresses."""

from __future__ import annotations

import ssl
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest

from agent.base.errors import UserError
from agent.config.models import ModelConfig
from agent.models.dialects.translate import BETA
from agent.models.ports import BadCall, Blame, Dialect, Json, Question, Trouble
from agent.models.providers import errors, families, network
from agent.models.providers.parameters import MemoryLearned, Parameters
from agent.models.providers.sdk import AnthropicProvider, OpenAIProvider
from agent.models.redact import Redactor

ASK = [{"role": "user", "content": "hello"}]


async def opened(url: str, kind: type[OpenAIProvider | AnthropicProvider] = OpenAIProvider, **more: Any) -> Any:
    provider = "openai" if kind is OpenAIProvider else "anthropic"
    model = ModelConfig.model_validate({"provider": provider, "model": "m", "base_url": url, "timeout": 10, **more})
    made = kind(model, Redactor([]), more.pop("learned", None))
    await made.start()
    return made


def question(**more: Any) -> Question:
    return Question(body={"model": "m", "messages": ASK, **more}, trial="t", answer_scope=None, key="k", k=0)


# ---------------------------------------------------------------- refusals in the server's own words


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            '{"error": "model \'qwen3\' not found, try pulling it first"}',
            "model 'qwen3' not found, try pulling it first",
        ),
        ('{"detail": "Not authenticated here"}', "Not authenticated here"),
        ('{"detail": [{"loc": ["body", "stop"], "msg": "field not allowed"}]}', "body.stop: field not allowed"),
        (
            '[{"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}]',
            "models/x is not found",
        ),
        ('{"message": "No route", "request_id": "1"}', "No route"),
        ('{"error": {"message": "deep", "metadata": {"raw": "x"}}}', "deep"),
        ("plain words", "plain words"),
        ("<html><head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"),
        ("", "nothing"),
        ('{"odd": 1}', '{"odd": 1}'),
    ],
)
@pytest.mark.parametrize("status", [404, 400, 500])
async def test_an_error_is_shown_in_the_server_s_own_words(serve: Any, body: str, said: str, status: int) -> None:
    async with serve(lambda *_: (status, body)) as server:
        provider = await opened(server.url + "/v1")
        with pytest.raises((Trouble, BadCall)) as failed:
            await provider.ask(question())
        await provider.close()
    assert said in str(failed.value)


@pytest.mark.parametrize("native", [OpenAIProvider, AnthropicProvider])
async def test_a_provider_that_refuses_the_probe_is_up(serve: Any, native: Any) -> None:
    refusal = {"error": {"message": "max_tokens is too small: 16"}}
    async with serve(lambda *_: (400, refusal)) as server:
        provider = await opened(server.url, native)
        await provider.probe()
        await provider.close()
    sent = server.bodies[0]
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) >= 256


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_a_provider_that_fails_the_probe_is_down(serve: Any, status: int) -> None:
    async with serve(lambda *_: (status, {"error": "no"})) as server:
        provider = await opened(server.url + "/v1")
        with pytest.raises(Trouble):
            await provider.probe()
        await provider.close()


def test_a_server_that_loads_its_model_says_so() -> None:
    told = errors.detail('{"error": {"message": "Loading model", "code": 503}}')
    assert isinstance(errors.sort_status(503, told, {}, key_env="K"), errors.Loading)


@pytest.mark.parametrize(
    ("status", "error", "billed"),
    [
        (500, {"message": "it broke"}, False),
        (503, {"message": "busy"}, False),
        (408, {"message": "the operation timed out"}, True),
        (504, "<html><title>504 Gateway Time-out</title></html>", True),
        (524, "<html><title>A timeout occurred</title></html>", True),
        (400, {"message": "Failed to call a function.", "failed_generation": "<function=x>{"}, True),
    ],
)
async def test_an_answer_that_was_written_but_not_delivered_is_billed_and_asked_for_again(
    serve: Any, status: int, error: Any, billed: bool
) -> None:
    async with serve(lambda *_: (status, error if isinstance(error, str) else {"error": error})) as server:
        provider = await opened(server.url + "/v1")
        with pytest.raises(Trouble) as failed:
            await provider.ask(question())
        await provider.close()
    assert failed.value.billed is billed
    assert failed.value.blame in (Blame.BROKEN, Blame.BUSY)


# ---------------------------------------------------------------- parameters


def picky(refused: dict[str, str], chat: Any) -> Any:
    """A server that refuses parameters, each with its own message."""

    def answer(body: Json, _: str) -> Any:
        for name, message in refused.items():
            if body.get(name) is not None:
                return 400, {"error": {"message": message, "param": None, "code": "unsupported"}}
        return 200, chat("fine")

    return answer


REFUSALS = {
    "temperature": "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1).",
    "stop": "Argument not supported on this model: stop",
    "logprobs": "body.logprobs: Extra inputs are not permitted",
    "reasoning_effort": "Unrecognized request argument supplied: reasoning_effort",
}


async def test_a_parameter_that_is_refused_is_left_out_from_then_on(serve: Any, chat: Any) -> None:
    learned = MemoryLearned()
    values = {"temperature": 0.2, "stop": ["x"], "logprobs": True, "reasoning_effort": "high", "top_p": 0.5}
    async with serve(picky(REFUSALS, chat)) as server:
        model = ModelConfig(provider="openai", model="m", base_url=server.url + "/v1")
        provider = OpenAIProvider(model, Redactor([]), learned)
        await provider.start()
        assert (await provider.ask(question(**values)))["choices"]
        assert sorted(learned.recall("openai/m")) == sorted(REFUSALS)
        count = len(server.bodies)
        await provider.ask(question(**values))
        assert len(server.bodies) == count + 1, "asked once, without them"
        await provider.close()
        again = OpenAIProvider(model, Redactor([]), learned)
        await again.start()
        await again.ask(question(**values))
        assert again.left_out(question(**values).body) == tuple(sorted(REFUSALS))
        await again.close()
    assert server.bodies[-1].keys() == {"model", "messages", "top_p"}


async def test_a_box_cannot_teach_the_gateway_to_leave_out_a_parameter(serve: Any, chat: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        if (body.get("temperature") or 0) > 2:
            return 400, {"error": {"message": "temperature must be at most 2"}}
        return 200, chat("fine")

    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        for _ in range(3):
            with pytest.raises(BadCall, match="at most 2"):
                await provider.ask(question(temperature=9))
        assert provider.not_taken == ()
        await provider.ask(question(temperature=0.5))
        await provider.close()
    assert len(server.bodies) == 5, "one ordinary request settled it"
    assert server.bodies[-1]["temperature"] == 0.5


async def test_a_box_cannot_make_the_gateway_ask_without_end(serve: Any, chat: Any) -> None:
    names = ["temperature", "top_p", "seed", "stop", "logprobs", "user", "min_p", "top_k"]

    def answer(body: Json, _: str) -> Any:
        said = body["messages"][-1]["content"]
        return (400, {"error": f"refused: {said}"}) if said.startswith("bad") else (200, chat("fine"))

    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        for i in range(120):
            chosen = {name: 1 for bit, name in enumerate(names) if i >> bit & 1}
            messages = [{"role": "user", "content": f"bad {' '.join(chosen)}"}]
            with pytest.raises(BadCall):
                await provider.ask(question(messages=messages, **chosen))
        assert provider.not_taken == ()
        await provider.close()
    assert len(server.bodies) <= 120 + 64


async def test_of_two_parameters_that_exclude_each_other_one_is_left_out(serve: Any, chat: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        if "temperature" in body and "top_p" in body:
            return 400, {"error": {"message": "`temperature` and `top_p` cannot both be specified for this model."}}
        return 200, chat("fine")

    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        await provider.ask(question(temperature=0.5, top_p=0.5))
        assert provider.not_taken == ("top_p",)
        await provider.close()


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
            {"type": "json_object"},
        ),
        ("tool_choice", "required", {"type": "function", "function": {"name": "ok"}}),
    ],
)
async def test_one_kind_of_a_parameter_is_left_out_and_not_the_other(
    serve: Any, chat: Any, name: str, refused: Any, taken: Any
) -> None:
    kind = refused if isinstance(refused, str) else refused["type"]

    def answer(body: Json, _: str) -> Any:
        given = body.get(name)
        if kind in (given, given.get("type") if isinstance(given, dict) else None):
            return 400, {"error": {"message": f"this {name} is unavailable now"}}
        return 200, chat("fine")

    tools = [{"type": "function", "function": {"name": "ok"}}]
    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        await provider.ask(question(tools=tools, **{name: refused}))
        assert provider.not_taken == (f"{name}.{kind}",)
        await provider.ask(question(tools=tools, **{name: taken}))
        await provider.close()
    assert server.bodies[-1][name] == taken


async def test_a_budget_that_is_too_small_teaches_nothing_about_thinking(serve: Any) -> None:
    reply = {"id": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}

    def answer(body: Json, _: str) -> Any:
        thinking, config = body.get("thinking") or {}, body.get("output_config") or {}
        if thinking.get("type") == "adaptive" or thinking.get("budget_tokens", 1024) < 1024:
            return 400, {"error": {"message": "thinking: not like this"}}
        if "effort" in config:
            return 400, {"error": {"message": "output_config.effort: not supported by this model"}}
        return 200, reply

    async with serve(answer) as server:
        provider = await opened(server.url, AnthropicProvider)
        with pytest.raises(BadCall, match="not like this"):
            await provider.ask(question(max_tokens=99, thinking={"type": "enabled", "budget_tokens": 5}))
        assert provider.not_taken == ()
        form = {"type": "json_schema", "schema": {"type": "object"}}
        await provider.ask(question(max_tokens=99, output_config={"effort": "high", "format": form}))
        assert provider.not_taken == ("output_config.effort",)
        await provider.close()
    assert server.bodies[-1]["output_config"] == {"format": form}


async def test_the_other_name_of_the_output_limit_is_learned(serve: Any, chat: Any) -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    async with serve(picky({"max_tokens": message}, chat)) as server:
        provider = await opened(server.url + "/v1")
        await provider.ask(question(max_tokens=7))
        assert provider.left_out(question(max_tokens=7).body) == ()
        await provider.close()
    assert server.bodies[-1]["max_completion_tokens"] == 7


async def test_a_model_without_system_messages_gets_them_in_the_user_s_words(serve: Any, chat: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        roles = [message["role"] for message in body["messages"]]
        if "system" in roles:
            return 400, {"error": {"message": "System role not supported"}}
        assert all(one != other for one, other in pairwise(roles))
        return 200, chat("fine")

    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        messages = [{"role": "system", "content": "be brief"}, *ASK]
        await provider.ask(question(messages=messages))
        assert provider.not_taken == ("system",)
        await provider.close()
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "be brief\n\nhello"}]


async def test_a_field_of_a_message_that_is_refused_is_left_out(serve: Any, chat: Any) -> None:
    def answer(body: Json, _: str) -> Any:
        if any("reasoning_content" in message for message in body["messages"]):
            return 422, {"detail": [{"loc": ["body", "messages", 1, "reasoning_content"], "msg": "Extra inputs"}]}
        return 200, chat("fine")

    async with serve(answer) as server:
        provider = await opened(server.url + "/v1")
        turn = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
        await provider.ask(question(messages=[*ASK, turn, *ASK]))
        assert provider.not_taken == ("messages[].reasoning_content",)
        await provider.close()


async def test_the_configuration_leaves_out_fixes_and_adds_parameters(serve: Any, chat: Any) -> None:
    more = {
        "drop": ["stop", "later_system"],
        "set": {"temperature": 1},
        "extra_body": {"options": {"num_ctx": 8192}, "chat_template_kwargs": {"enable_thinking": False}},
    }
    async with serve(lambda *_: (200, chat("fine"))) as server:
        provider = await opened(server.url + "/v1", **more)
        messages = [{"role": "system", "content": "s"}, *ASK, {"role": "system", "content": "note"}]
        asked = question(messages=messages, stop=["x"], temperature=0.1, chat_template_kwargs={"a": 1})
        await provider.ask(asked)
        assert provider.left_out(asked.body) == ("later_system", "stop")
        await provider.close()
    sent = server.bodies[0]
    assert ("stop" in sent, sent["temperature"], sent["options"]) == (False, 1, {"num_ctx": 8192})
    assert sent["chat_template_kwargs"] == {"a": 1, "enable_thinking": False}
    assert sent["messages"][1] == {"role": "user", "content": "hello\n\nnote"}


@pytest.mark.parametrize(
    ("name", "sent", "left"),
    [
        ("gpt-5-mini", {"temperature": 0, "stop": ["x"], "seed": 1}, {"temperature", "stop"}),
        ("openai/o3", {"temperature": 0, "top_p": 1}, {"temperature", "top_p"}),
        ("gpt-5-chat-latest", {"temperature": 0}, set()),
        ("gpt-4o-mini", {"temperature": 0, "stop": ["x"]}, set()),
        ("claude-opus-4-7", {"temperature": 0, "top_k": 1}, {"temperature", "top_k"}),
        ("claude-sonnet-4-5-20250929", {"temperature": 0, "top_p": 1}, {"top_p"}),
        ("claude-sonnet-4-5", {"top_p": 1}, set()),
        ("claude-opus-4-20250514", {"temperature": 0, "top_p": 1}, set()),
        ("deepseek-reasoner", {"tool_choice": "required"}, {"tool_choice"}),
        ("deepseek-reasoner", {"tool_choice": "auto"}, set()),
        ("Qwen/Qwen3-4B-Thinking-2507", {"tool_choice": "required"}, {"tool_choice"}),
        ("grok-4", {"stop": ["x"], "temperature": 0}, {"stop"}),
    ],
)
def test_known_families_are_not_sent_what_they_refuse(name: str, sent: Json, left: set[str]) -> None:
    parameters = Parameters(ModelConfig(provider="openai", model=name), Dialect.CHAT)
    made, out = parameters.shape({"model": name, "messages": ASK, **sent})
    assert set(out) == left == sent.keys() - made.keys()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"drop": ["tempurature"]}, "drop: m is never sent `tempurature`"),
        ({"pass": ["temperature"]}, "pass: `temperature` is carried without it"),
    ],
)
def test_a_name_that_does_nothing_is_the_user_s_error(more: Json, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Parameters(ModelConfig.model_validate({"provider": "openai", "model": "m", **more}), Dialect.CHAT)


def test_every_name_that_means_something_can_be_dropped() -> None:
    names = ["temperature", "stop", "system", "later_system", "developer", "tools.web_search", "messages[].name"]
    Parameters(ModelConfig.model_validate({"provider": "openai", "model": "m", "drop": names}), Dialect.CHAT)


def test_the_table_of_families_says_its_date_and_a_fixed_value_wins() -> None:
    assert families.AS_OF
    model = ModelConfig.model_validate({"provider": "openai", "model": "gpt-5", "set": {"temperature": 1}})
    made, left = Parameters(model, Dialect.CHAT).shape({"model": "gpt-5", "messages": ASK, "temperature": 0})
    assert (made["temperature"], left) == (1, ())


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("path", ["/v1", "/v1/", "", "/", "/v1/chat/completions"])
async def test_a_base_url_is_found_as_people_write_it(serve: Any, chat: Any, path: str) -> None:
    def answer(_: Json, where: str) -> Any:
        return (200, chat("fine")) if where == "/v1/chat/completions" else (404, "404 page not found")

    async with serve(answer) as server:
        provider = await opened(server.url + path)
        for _ in range(2):
            assert (await provider.ask(question()))["choices"]
        await provider.close()
    assert server.paths[-1] == "/v1/chat/completions"
    assert len(server.paths) <= 3, "the other path is looked for once"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/messages"])
async def test_an_anthropic_base_url_is_found_as_people_write_it(serve: Any, path: str) -> None:
    reply = {"id": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}
    async with serve(lambda *_: (200, reply)) as server:
        provider = await opened(server.url + path, AnthropicProvider)
        await provider.ask(question(max_tokens=5))
        await provider.close()
    assert server.paths == ["/v1/messages"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_on_the_same_host_is_followed_with_the_body(serve: Any, chat: Any, status: int) -> None:
    def answer(_: Json, where: str) -> Any:
        if where.startswith("/old"):
            return status, "", {"location": "/new" + where.removeprefix("/old")}
        return 200, chat("fine")

    async with serve(answer) as server:
        provider = await opened(server.url + "/old/v1")
        assert (await provider.ask(question()))["choices"]
        await provider.close()
    assert server.bodies[-1]["messages"] == ASK


async def test_a_redirect_to_another_host_is_named_and_never_gets_the_key(serve: Any, chat: Any) -> None:
    async with serve(lambda *_: (200, chat("stolen"))) as other:
        target = other.url.replace("127.0.0.1", "localhost")
        async with serve(lambda *_: (307, "", {"location": f"{target}/v1/chat/completions"})) as server:
            provider = await opened(server.url + "/v1")
            with pytest.raises(Trouble, match=r"redirects to .*Set `base_url` to that"):
                await provider.ask(question())
            await provider.close()
    assert other.paths == []


async def test_no_proxy_stands_before_this_machine(serve: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(lambda *_: (200, chat("fine"))) as server:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            provider = await opened(url + "/v1")
            assert (await provider.ask(question()))["choices"]
            await provider.close()
    provider = await opened("http://192.0.2.1/v1")
    with pytest.raises(Trouble, match="through the proxy in http_proxy"):
        await provider.ask(question())
    await provider.close()
    monkeypatch.setenv("NO_PROXY", "192.0.2.1")
    monkeypatch.setenv("no_proxy", "192.0.2.1")
    assert network.proxy("http://192.0.2.1/v1") is None


async def test_a_self_signed_certificate_is_trusted_where_the_user_says_so(
    serve: Any, chat: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serve(lambda *_: (200, chat("fine")), tls) as server:
        provider = await opened(server.url + "/v1")
        with pytest.raises(Trouble, match="certificate"):
            await provider.ask(question())
        await provider.close()
        provider = await opened(server.url + "/v1", ca_file=str(certificate.parent / "only.pem"))
        assert (await provider.ask(question()))["choices"]
        await provider.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.parent / "only.pem"))
        provider = await opened(server.url + "/v1")
        assert (await provider.ask(question()))["choices"]
        await provider.close()


async def test_a_missing_certificate_file_is_the_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ca_file: .*cannot be read"):
        await opened("https://127.0.0.1:1/v1", ca_file=str(tmp_path / "none.pem"))


async def test_headers_of_a_question_are_sent(serve: Any) -> None:
    reply = {"id": "m", "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}
    async with serve(lambda *_: (200, reply)) as server:
        provider = await opened(server.url, AnthropicProvider)
        asked = question(max_tokens=5)
        headers = {BETA: "context-management-2025-06-27"}
        await provider.ask(Question(body=asked.body, trial="t", answer_scope=None, key="k", k=0, headers=headers))
        await provider.close()
    assert f"{BETA}: context-management-2025-06-27" in server.heads[0]


async def test_what_a_model_does_not_take_costs_no_trial(run_gateway: Any, serve: Any, at: Any, chat: Any) -> None:
    async with serve(picky(REFUSALS, chat)) as server, run_gateway(at(server)) as bench:
        session, path = await bench.session()
        client: openai.AsyncOpenAI = bench.openai(path)
        answer = await client.chat.completions.create(model="small", messages=ASK, temperature=0.2, stop=["x"])
    assert answer.choices[0].message.content == "fine"
    assert session.fault is None
