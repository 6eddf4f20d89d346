"""Within a pair nothing that one side does changes what the other gets, or how much time it has."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agent.kernel.decide.budget import Budget, Limits
from agent.models.gateway import upstream
from agent.models.ports import BadCall, Blame, Json, Question, Trouble
from agent.models.providers.scripted import ScriptedProvider

ASK = [{"role": "user", "content": "solve"}]


class Gate(ScriptedProvider):
    """Counts its calls, and answers each when `go` says so, or after so many seconds."""

    def __init__(self, answer: Callable[[Json], Any] = lambda _: "ok", seconds: float | None = None) -> None:
        super().__init__(answer)
        self.seconds, self.go = seconds, asyncio.Event()
        self.asked: list[Json] = []
        self.running = 0

    async def ask(self, question: Question) -> Json:
        self.asked.append(question.body)
        self.running += 1
        try:
            if self.seconds is None:
                await self.go.wait()
            else:
                await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        return await super().ask(question)


def models(scripted: Any, **more: Any) -> Any:
    return {"solver": {**scripted["solver"], **more}}


def say(client: openai.AsyncOpenAI, text: str = "solve", **more: Any) -> asyncio.Future[Any]:
    messages: Any = [{"role": "user", "content": text}]
    return asyncio.ensure_future(client.chat.completions.create(model="small", messages=messages, **more))


def text_of(answer: Any) -> str:
    return str(answer.choices[0].message.content)


async def box(bench: Any, seconds: float | None = None, **scope: Any) -> tuple[Any, openai.AsyncOpenAI]:
    """A session and its client, which is made first: that takes longer than some of the time limits here."""
    client = bench.openai(bench.folder / f"{bench.sessions + 1}.sock")
    deadline = None if seconds is None else time.monotonic() + seconds
    session, _ = await bench.session(**scope, deadline=deadline)
    return session, client


async def ended(*calls: asyncio.Future[Any]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


# ------------------------------------------------------------------------------------ fairness and the clock


async def test_a_flood_of_one_side_does_not_hold_up_the_other(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate()
    async with run_gateway(models(scripted_models, concurrency=4), providers={"solver": gate}) as bench:
        (_, client_one), (_, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        junk = [say(client_one, f"junk {i}") for i in range(40)]
        await until(lambda: gate.running == 3)
        own = say(client_two, "my own")
        await until(lambda: gate.running == 4)
        assert "my own" in str(gate.asked[-1]), "the last slot was kept for the other side"
        await ended(own, *junk)


async def test_the_clock_of_a_box_stands_still_while_another_delays_it(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate()
    async with run_gateway(models(scripted_models, concurrency=1), providers={"solver": gate}) as bench:
        _, client_one = await box(bench)
        waiting, client_two = await box(bench, 1.5)
        junk = [say(client_one, f"junk {i}") for i in range(10)]
        await until(lambda: gate.running)
        own = say(client_two, "my own")
        await asyncio.sleep(2.2)
        assert not own.done(), "1.5 s have passed long ago, but not for this box"
        assert waiting.waited() > 0.5
        gate.go.set()
        assert text_of(await own) == "ok"
        after = waiting.waited()
        assert 0.0 < waiting.remaining() <= 1.5
        await asyncio.sleep(0.05)
        assert waiting.waited() == after, "nothing delays it any more"
        await ended(*junk)


async def test_a_box_that_floods_itself_wins_no_time(run_gateway: Any, scripted_models: Any, until: Any) -> None:
    gate = Gate()
    async with run_gateway(models(scripted_models, concurrency=2), providers={"solver": gate}) as bench:
        session, client = await box(bench, 1.5)
        other, _ = await bench.session()
        junk = [say(client, f"junk {i}") for i in range(20)]
        await until(lambda: gate.running)
        assert (await asyncio.wait_for(asyncio.gather(*junk, return_exceptions=True), 10))[0].status_code == 408
        assert (session.waited(), other.waited()) == (0.0, 0.0)


async def test_a_rate_that_one_box_used_up_stops_the_clock_of_the_other_and_not_its_own(
    run_gateway: Any, scripted_models: Any
) -> None:
    limited = models(scripted_models, requests_per_minute=60)
    async with run_gateway(limited, providers={"solver": ScriptedProvider(lambda _: "ok")}) as bench:
        (greedy, client_one), (modest, client_two) = await box(bench), await box(bench)
        junk = [say(client_one, f"junk {i}") for i in range(64)]
        await asyncio.sleep(1.0)
        start = time.monotonic()
        assert text_of(await say(client_two)) == "ok"
        waited, took = modest.waited(), time.monotonic() - start
        assert took < 20, "its turn comes next, not after the flood"
        assert waited == pytest.approx(took, abs=1.0)
        assert greedy.waited() < 1.0
        await ended(*junk)


async def test_a_question_that_the_flooding_side_asked_last_is_served_at_the_other_side_s_turn(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate(seconds=0.2)
    async with run_gateway(models(scripted_models, concurrency=1), providers={"solver": gate}) as bench:
        (_, client_one), (_, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        junk = [say(client_one, f"junk {i}") for i in range(30)]
        await until(lambda: gate.asked)
        await asyncio.sleep(0.1)
        junk.append(say(client_one, "what the other will ask"))
        await asyncio.sleep(0.1)
        assert text_of(await say(client_two, "what the other will ask")) == "ok"
        assert len(gate.asked) < 8
        await ended(*junk)


# ------------------------------------------------------------------------------------ one answer a question


async def test_hanging_up_does_not_draw_again(run_gateway: Any, scripted_models: Any, until: Any) -> None:
    numbers = itertools.count()
    gate = Gate(lambda _: f"draw {next(numbers)}")
    async with run_gateway(scripted_models, providers={"solver": gate}) as bench:
        (one, client_one), (_, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        for _ in range(3):
            call = say(client_one)
            await until(lambda: gate.running)
            await ended(call)
        await one.close()
        gate.go.set()
        drawn = [text_of(await say(client_two)) for _ in range(3)]
    assert drawn == ["draw 0", "draw 1", "draw 2"]
    assert len(gate.asked) == 3, "each occurrence once, for both sides"


async def test_calls_that_were_hung_up_on_count_against_the_calls_at_once(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate()
    async with run_gateway(models(scripted_models, concurrency=100), providers={"solver": gate}) as bench:
        _, client = await box(bench)
        calls = [say(client, f"junk {i}") for i in range(64)]
        await until(lambda: gate.running == 64)
        await ended(*calls)
        with pytest.raises(openai.RateLimitError, match="calls at once"):
            await say(client, "one more")


async def test_a_question_that_was_never_sent_dies_with_the_last_box_that_asked_it(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate()
    async with run_gateway(models(scripted_models, concurrency=1), providers={"solver": gate}) as bench:
        session, client = await box(bench)
        calls = [say(client, f"junk {i}") for i in range(5)]
        await until(lambda: gate.running)
        await asyncio.sleep(0.1)
        await session.close()
        gate.go.set()
        await until(lambda: bench.record.calls)
        await asyncio.gather(*calls, return_exceptions=True)
        _, client = await box(bench)
        assert text_of(await say(client, "next")) == "ok"
    assert len(gate.asked) == 2
    assert [call.status for call in bench.record.calls] == [200, 200], "what was never sent costs nothing"


async def test_a_shared_answer_arrives_no_sooner_than_it_took_the_one_who_paid(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate = Gate(seconds=0.5)
    async with run_gateway(scripted_models, providers={"solver": gate}) as bench:
        (_, client_one), (_, client_two) = await box(bench, answer_scope="p"), await box(bench, answer_scope="p")
        paid = say(client_one)
        await until(lambda: gate.running)
        await asyncio.sleep(0.3)
        start = time.monotonic()
        await say(client_two)
        assert time.monotonic() - start >= 0.49, "joined in flight"
        await paid
        _, client_three = await box(bench, answer_scope="p")
        start = time.monotonic()
        await say(client_three)
        assert time.monotonic() - start >= 0.49, "recalled"
    assert len(gate.asked) == 1


async def test_a_refusal_settles_a_question_for_both_sides(run_gateway: Any, scripted_models: Any) -> None:
    tries = itertools.count()

    def moody(_: Json) -> str:
        if next(tries) == 0:
            raise BadCall(400, "this prompt is not allowed", code="content_policy")
        return "fine"

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(moody)}) as bench:
        said = []
        for _ in range(2):
            _, client = await box(bench, answer_scope="p")
            with pytest.raises(openai.BadRequestError, match="not allowed") as refused:
                await say(client)
            said.append(refused.value.body)
            assert text_of(await say(client)) == "fine", "the second occurrence is another question"
        assert said[0] == said[1]
    assert next(tries) == 2
    assert [(call.status, call.fresh) for call in bench.record.calls] == [
        (400, True),
        (200, True),
        (400, False),
        (200, False),
    ]


# ------------------------------------------------------------------------------------ voids


class Limited(ScriptedProvider):
    """Allows so many calls in some seconds, as hosted models do, and asks for patience beyond; probes count as well."""

    def __init__(self, most: int, seconds: float, retry_after: float) -> None:
        super().__init__(lambda _: "ok")
        self.most, self.seconds, self.retry_after = most, seconds, retry_after
        self.times: list[float] = []
        self.met = asyncio.Event()
        """Set once a call was refused."""

    def _meter(self) -> None:
        now = time.monotonic()
        self.times = [at for at in self.times if now - at < self.seconds]
        if len(self.times) >= self.most:
            self.met.set()
            raise Trouble("HTTP 429: rate limit", blame=Blame.BUSY, retry_after=self.retry_after)
        self.times.append(now)

    async def ask(self, question: Question) -> Json:
        self._meter()
        return await super().ask(question)

    async def probe(self) -> None:
        self._meter()


async def test_a_box_that_floods_a_rate_limit_before_its_deadline_is_not_void(
    run_gateway: Any, scripted_models: Any
) -> None:
    limited = Limited(most=10, seconds=3.0, retry_after=1.0)
    patient = models(scripted_models, timeout=20, attempts=6)
    async with run_gateway(patient, providers={"solver": limited}) as bench:
        session, client = await box(bench, 2.0)
        junk = [say(client, f"junk {i}") for i in range(40)]
        await asyncio.sleep(2.2)
        await session.close()
        await asyncio.gather(*junk, return_exceptions=True)
    assert session.fault is None


async def test_the_modest_side_is_answered_first_after_the_other_side_met_a_rate_limit(
    run_gateway: Any, scripted_models: Any
) -> None:
    limited = Limited(most=10, seconds=4.0, retry_after=0.5)
    patient = models(scripted_models, timeout=40, attempts=6)
    async with run_gateway(patient, providers={"solver": limited}) as bench:
        _, client_one = await box(bench, answer_scope="p")
        modest, client_two = await box(bench, 10.0, answer_scope="p")
        junk = [say(client_one, f"junk {i}") for i in range(60)]
        await limited.met.wait()
        assert text_of(await say(client_two)) == "ok"
        assert modest.fault is None
        assert modest.waited() > 0.5
        await ended(*junk)


async def test_a_request_that_keeps_a_working_provider_busy_is_the_box_s_own_doing(
    run_gateway: Any, scripted_models: Any
) -> None:
    def busy(body: Json) -> str:
        if "poison" in str(body):
            raise Trouble("HTTP 503: 37 of 40 workers serve others", blame=Blame.BUSY, retry_after=0.05)
        return "fine"

    async with run_gateway(scripted_models, providers={"solver": ScriptedProvider(busy)}) as bench:
        session, client = await box(bench)
        with pytest.raises(openai.BadRequestError, match="works, but not on this request") as refused:
            await say(client, "poison")
        assert "workers" not in str(refused.value), "how busy others keep it is nothing to tell"
        assert text_of(await say(client, "else")) == "fine"
    assert session.fault is None
    assert bench.gateway.trouble() is None


async def test_a_call_that_others_break_is_tried_once_alone_before_it_is_blamed(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    """A server that fails while it is crowded: the crowd is not this request's doing."""

    class Crowded(Gate):
        async def ask(self, question: Question) -> Json:
            if "my own" in str(question.body) and self.running:
                raise Trouble("HTTP 500: out of memory")
            return await super().ask(question)

    crowded = Crowded()
    crowd = models(scripted_models, concurrency=8, attempts=1)
    async with run_gateway(crowd, providers={"solver": crowded}) as bench:
        (_, client_one), (own, client_two) = await box(bench), await box(bench)
        junk = [say(client_one, f"junk {i}") for i in range(4)]
        await until(lambda: crowded.running == 4)
        mine = say(client_two, "my own")
        await asyncio.sleep(0.3)
        crowded.go.set()
        assert text_of(await mine) == "ok"
        assert own.fault is None
        await asyncio.gather(*junk)


async def test_a_provider_s_failure_names_the_trials_whose_calls_were_under_way(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    class Falls(Gate):
        async def ask(self, question: Question) -> Json:
            await super().ask(question)
            raise Trouble("no connection", blame=Blame.FINAL)

    falls = Falls()
    async with run_gateway(scripted_models, providers={"solver": falls}) as bench:
        guilty, client = await box(bench, trial="candidate's")
        bystander, _ = await bench.session(trial="champion's")
        call = say(client)
        await until(lambda: falls.running)
        falls.go.set()
        await asyncio.wait([call])
    assert guilty.fault is not None
    assert guilty.fault.under_way == {"candidate's"}
    assert bystander.fault is None


async def test_calls_that_wait_in_line_hold_nothing_of_the_campaign_s_budget(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    gate, budget = Gate(), Budget(Limits(tokens=20_000))
    one = models(scripted_models, concurrency=1)
    async with run_gateway(one, providers={"solver": gate}, budget=budget) as bench:
        (_, client_one), (_, client_two) = await box(bench), await box(bench)
        junk = [say(client_one, f"junk {i}", max_tokens=9_000) for i in range(30)]
        await until(lambda: gate.running)
        await asyncio.sleep(0.2)
        own = say(client_two, "my own", max_tokens=10)
        gate.go.set()
        assert text_of(await own) == "ok"
        await ended(*junk)


async def test_a_box_that_waits_for_the_budget_that_another_model_s_calls_hold_loses_no_time(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    one, two, budget = Gate(), Gate(seconds=0.0), Budget(Limits(tokens=20_000))
    both = {"solver": scripted_models["solver"], "other": scripted_models["solver"]}
    async with run_gateway(both, providers={"solver": one, "other": two}, budget=budget) as bench:
        (_, client_one), (waits, client_two) = await box(bench), await box(bench, models={"small": "other"})
        call = say(client_one, max_tokens=15_000)
        await until(lambda: one.running)
        own = say(client_two, "my own", max_tokens=10_000)
        await until(lambda: waits.waited() > 0.2)
        assert not two.asked
        one.go.set()
        assert text_of(await own) == "ok"
        await call


async def test_a_poisonous_request_stops_the_others_clocks_and_costs_them_a_bounded_time(
    run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    """A box whose requests keep failing has them judged in quiet, until it has cost the others enough of that."""

    class Poisoned(Gate):
        async def ask(self, question: Question) -> Json:
            if "poison" in str(question.body):
                raise Trouble("HTTP 500: it broke")
            return await super().ask(question)

    poisoned = Poisoned(seconds=0.3)
    models_ = models(scripted_models, concurrency=2, attempts=1)
    async with run_gateway(models_, providers={"solver": poisoned}) as bench:
        (guilty, client_one), (own, client_two) = await box(bench), await box(bench)
        work = [say(client_two, f"work {i}") for i in range(12)]
        await until(lambda: poisoned.running)
        for i in range(3):
            with pytest.raises(openai.BadRequestError, match="not on this request"):
                await say(client_one, f"poison {i}")
        assert guilty.clock.quieted > 0
        assert own.waited() > 0
        assert guilty.waited() < 3.0, "it waits for the calls in service alone, 0.3 s each"
        guilty.clock.quieted = 1000.0
        before = own.waited()
        with pytest.raises(openai.BadRequestError, match="not on this request"):
            await say(client_one, "poison again")
        assert own.waited() - before < 0.3, "nobody waits for this box's failures any more"
        await asyncio.gather(*work)


async def test_a_real_outage_is_never_scored_even_for_a_box_that_was_judged_often(
    run_gateway: Any, scripted_models: Any
) -> None:
    class Gone(ScriptedProvider):
        async def ask(self, question: Question) -> Json:  # noqa: ARG002
            raise Trouble("no connection")

        async def probe(self) -> None:
            raise Trouble("no connection")

    async with run_gateway(models(scripted_models, attempts=1), providers={"solver": Gone(lambda _: "")}) as bench:
        session, client = await box(bench)
        session.clock.quieted = 1000.0
        with pytest.raises(openai.InternalServerError):
            await say(client)
        assert session.fault is not None


async def test_a_provider_that_hangs_until_a_box_s_time_is_over_is_probed(
    run_gateway: Any, scripted_models: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Gate):
        dead = True

        async def probe(self) -> None:
            if self.dead:
                raise Trouble("no connection")

    monkeypatch.setattr(upstream, "_OVERDUE_SECONDS", 0.2)
    hanging = Hanging()
    async with run_gateway(scripted_models, providers={"solver": hanging}) as bench:
        for dead in (True, False):
            hanging.dead = dead
            session, client = await box(bench)
            call = say(client)
            await until(lambda: hanging.running)
            await asyncio.sleep(0.3)
            await session.close()
            assert (session.fault is not None) == dead, "who works but takes long is slow, not down"
            await ended(call)


async def test_a_gateway_that_is_closed_leaves_no_judgement_behind(
    run_gateway: Any, scripted_models: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C cancels a trial while it is asked whose fault its open call is."""

    class Silent(Gate):
        probed = False

        async def probe(self) -> None:
            self.probed = True
            await asyncio.Event().wait()

    monkeypatch.setattr(upstream, "_OVERDUE_SECONDS", 0.2)
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    silent, before = Silent(), asyncio.all_tasks()
    async with run_gateway(scripted_models, providers={"solver": silent}) as bench:
        session, client = await box(bench)
        call = say(client)
        await until(lambda: silent.running)
        await asyncio.sleep(0.3)
        ending = asyncio.create_task(session.close())
        await until(lambda: silent.probed)
        ending.cancel()
    await ended(call)
    gc.collect()
    assert unhandled == []
    assert not {task for task in asyncio.all_tasks() - before if "GatewayServer" in repr(task)}


async def test_a_question_that_one_side_drowned_in_its_own_flood_is_answered_to_the_other(
    run_gateway: Any, scripted_models: Any
) -> None:
    """Else a candidate could ask what the champion will ask, make it fail, and leave the failure behind."""

    class Drowns(ScriptedProvider):
        flooded = True

        async def ask(self, question: Question) -> Json:
            if self.flooded and "shared" in str(question.body):
                raise Trouble("HTTP 429", blame=Blame.BUSY, retry_after=0.01)
            return await super().ask(question)

    provider = Drowns(lambda _: "fine")
    models = {"solver": {**scripted_models["solver"], "attempts": 1}}
    async with run_gateway(models, providers={"solver": provider}) as bench:
        candidate, path = await bench.session(answer_scope="pair")
        _, other = await bench.session(answer_scope="pair")
        candidate.clock.quieted = 1e9  # it has cost the others enough: no more attempts alone
        ask = {"model": "small", "messages": [{"role": "user", "content": "shared"}]}
        async with bench.http(path) as http:
            refused = await http.post("/v1/chat/completions", json=ask)
        provider.flooded = False
        async with bench.http(other) as http:
            answered = await http.post("/v1/chat/completions", json=ask)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "provider_refused")
    assert answered.status_code == 200
    assert candidate.fault is None
