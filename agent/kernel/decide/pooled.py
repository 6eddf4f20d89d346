"""The default search: Thompson sampling over what each patch is worth, and candidates put together of patches.

`effects` says what the trials of all candidates together say of every patch. From it follow the next trial (top-two
Thompson sampling, Russo 2016), the next parent, the sets of patches that are worth putting together, and who meets
the champion, and when. Panels are put together to learn: each of their trials tells of all their patches, as in a
factorial experiment (Fisher 1935), where a trial of a candidate with one patch tells of that one. Pure, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from agent.kernel.decide.archive import ALIVE, FAILED, PENDING, TRIALS, Archive, Compose, Expand, Measure, Step
from agent.kernel.decide.bets import Terms, bets_on, differing, expected_pairs
from agent.kernel.decide.bringing import hoped, kept_share, options
from agent.kernel.decide.effects import SPREADS, Posterior, Trials, fit
from agent.kernel.decide.statistics import Floats, Ints
from agent.kernel.decide.turns import met, next_index, openness

START: Final = 10
"""Trials of the seed before anything else."""
SECOND: Final = 0.3
"""How often a trial goes to the second-best draw, so that the best one is told from its rivals."""
DRAWS: Final = 8
"""Draws in which a second-best is looked for."""
STALE, STALE_SHARE = 8, 0.02
"""New trials after which the model is fitted again: so many, or this part of all."""
SPREAD_PAUSE: Final = 5
"""Fits after which the spread of effects is looked for again."""
ROWS: Final = 256
"""Candidates in the model, the newest and the best ones, so that a fit takes no longer in a large archive."""
PLAIN: Final = 0.5
"""How often a trial goes to a candidate that could meet the champion as it is."""
SMALL_CAMPAIGN: Final = 1000
"""A campaign of fewer trials does that less often, in proportion: a panel tells of more patches."""
PAUSE: Final = 14
"""Trials between two candidates that are put together, of good patches and of a panel each."""
PANEL, PANEL_LEAST = 8, 4
"""Patches of a panel beside the champion's, at most and at least."""
HIGH: Final = 0.8
"""The champion's expected score from which on there are no panels: they would all score the same, and take trials."""
WORTH: Final = 0.025
"""The smallest expected effect, in score, for which a patch is kept in a set that meets the champion."""
LEANER: Final = 3
"""So many of the best candidates that could meet the champion, hold a useful patch, and can be made without their
useless ones, are made so."""
GAIN: Final = 0.01
"""How much better than every candidate a set of patches must be expected to be."""
EQUAL: Final = 0.03
"""Candidates whose expected scores differ by less are equal: the one of fewer patches meets the champion."""
PATCH_COST: Final = 0.05
"""What a parent must be better by for each patch that it holds beside the champion's, in score."""
LEAD: Final = 1.65
"""Standard errors by which a candidate must lead any champion but the seed."""
FEW, CHEAP = 100, 0.03
"""A test may begin at any time if it is expected to take at most so many trials, or this part of all ..."""
LATE: Final = 0.3
"""... and otherwise where at most this part of all trials is left; one with useless patches may meet the champion then
as well. The trials left are then ..."""
LAST_CALL: Final = 1.3
"""... at most so many times what the test is expected to take."""
ENDS: Final = 0.5
"""No test begins with less left than this part of what it is expected to take."""
PATIENCE: Final = 3.0
"""A test ends without proof after so many times the pairs that it is expected to take."""
CREDIT: Final = 0.7
"""What is believed of a lead over a champion, for each test of another candidate that shares a patch with it ..."""
LOST: Final = 3
"""... but for so many at most, so that a bad champion that many met does not stay for good."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spend:
    """The trials of a campaign: foreseen, used, and used by the gate; ln(1 / level) of the next test.

    `proposal` is what a proposal costs, in trials; `wait` how many search trials are run in the time of one of a test,
    where time is what is limited.
    """

    foreseen: float
    used: int
    gate: int
    log_threshold: float
    proposal: float = 1.0
    wait: float = 1.0

    @property
    def gate_share(self) -> float:
        """The part of the campaign's trials that the gate has used."""
        return self.gate / max(self.foreseen, 1.0)


class Pooled:
    """One strategy for one archive; it keeps the last fit."""

    def __init__(self) -> None:
        self._posterior: Posterior | None = None
        self._telling = np.zeros(0)
        self._fitted = self._fits = self._composed = self._panelled = 0

    # ------------------------------------------------------------------------------- the next step

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:
        """The next step of the search."""
        seed = archive.ids[0]
        if archive.column(TRIALS)[0] + archive.column(PENDING)[0] < START or not len(archive.observations):
            return _measure(archive, seed)
        posterior = self._fit(archive)
        if (wanted := self._composition(archive, posterior)) is not None:
            self._composed = len(archive.observations)
            return Compose(wanted)
        if (panel := self._panel(archive, posterior, rng)) is not None:
            self._panelled = len(archive.observations)
            return Compose(panel)
        able = archive.able
        if archive.trials**archive.settings.growth >= archive.width and able.any():
            return self._proposal(archive, posterior, posterior.sample(rng), able)
        node = archive.ids[self._contested(archive, posterior, rng)]
        return Measure(node, next_index(self._telling, met(archive, node), rng))

    def _proposal(self, archive: Archive, posterior: Posterior, sample: Floats, able: Ints) -> Expand:
        """From the best parent of a draw; or, where that should give more, a patch is brought over to the champion."""
        reliable, draw = _reliable(archive), posterior.design @ sample
        worth = (draw - PATCH_COST * _sizes(archive)) * reliable
        parent, champion = _best(worth, able), archive.row(archive.champion)
        effects = dict(zip(posterior.patches, sample[1:].tolist(), strict=True))
        kept = kept_share(archive, posterior.effects)
        leads = {node: hoped(archive, effects, node, kept) for node in options(archive)}
        node = max(leads, key=lambda one: leads[one], default=None)
        if node is None or (draw[champion] + leads[node] - PATCH_COST) * reliable[champion] <= worth[parent]:
            return Expand(archive.ids[parent])
        return Expand(archive.champion, bring=node)

    def _contested(self, archive: Archive, posterior: Posterior, rng: np.random.Generator) -> int:
        """The row of the best draw; or, now and then, the best one of another draw that names another row."""
        alive = archive.column(ALIVE)
        often = PLAIN * min(1.0, archive.settings.foreseen / SMALL_CAMPAIGN)
        plain = _Plain(archive, posterior.effects) if rng.random() < often else None

        def best() -> int:
            draw = posterior.draw(rng)
            first = _best(draw, alive)
            if plain is None or plain(first):
                return first
            order = np.argsort(-draw, kind="stable").tolist()
            return next((row for row in order if alive[row] and plain(row)), first)

        first = best()
        if rng.random() < SECOND:
            draws = (best() for _ in range(DRAWS))
            return next((row for row in draws if row != first), first)
        return first

    def _fit(self, archive: Archive) -> Posterior:
        """The posterior, fitted again when there are new candidates or enough new trials."""
        known, seen = self._posterior, len(archive.observations)
        fresh = seen - self._fitted < max(STALE, STALE_SHARE * seen)
        if known is None or len(known.design) != len(archive) or not fresh:
            spreads = SPREADS if known is None or self._fits % SPREAD_PAUSE == 0 else [known.spread]
            known = fit(*self._kept(archive), spreads)
            self._telling = openness(archive.observations.trials, known)
            self._posterior, self._fitted, self._fits = known, seen, self._fits + 1
        return known

    def _kept(self, archive: Archive) -> tuple[Sequence[frozenset[int]], Trials]:
        """The candidates and trials that the model is about; the others are taken for the seed, without trials."""
        members, trials = archive.members, archive.observations.trials
        if len(archive) <= ROWS or self._posterior is None:
            return members, trials
        values = np.full(len(archive), np.inf)
        values[: len(self._posterior.design)] = self._posterior.values
        values[[0, archive.row(archive.champion)]] = np.inf
        kept = np.zeros(len(archive), dtype=bool)
        kept[np.argsort(-values, kind="stable")[:ROWS]] = True
        ours = kept[trials.rows]
        few = [held if kept[row] else frozenset() for row, held in enumerate(members)]
        return few, Trials(trials.rows[ours], trials.indices[ours], trials.scores[ours])

    # ------------------------------------------------------------------------------- sets of patches

    def _composition(self, archive: Archive, posterior: Posterior) -> frozenset[int] | None:
        """A set of patches that nobody holds: all that seem useful, if better than every candidate.

        Or those of one of the best candidates without its useless ones.
        """
        if len(archive.observations) - self._composed < PAUSE:
            return None
        values, alive, wanted = posterior.values, archive.column(ALIVE) > 0, _useful(posterior.effects)
        proven = archive.patches(archive.champion)
        useful = wanted | proven
        hoped = posterior.coefficients[0] + sum(posterior.effects[patch] for patch in wanted)
        sets = [wanted] if hoped > values[alive].max(initial=0.0) + GAIN else []
        ahead = alive & (values > values[archive.row(archive.champion)] + archive.settings.margin)
        rows = [row for row in np.argsort(-values, kind="stable").tolist() if ahead[row]]
        heavy = (archive.members[row] for row in rows if _may_meet(archive, archive.ids[row]))
        lost = {archive.patches(node) for node, over in archive.tried if over == archive.champion and node in archive}
        lean = (held & useful for held in heavy if not held <= useful)
        sets += islice((one for one in lean if not (one <= proven or one in lost or archive.unmade(one))), LEANER)
        return next((one for one in sets if one and one not in archive.composed), None)

    def _panel(self, archive: Archive, posterior: Posterior, rng: np.random.Generator) -> frozenset[int] | None:
        """The champion with the best patches of one draw, none of which seems harmful in it."""
        champion = archive.patches(archive.champion)
        unproven = len(posterior.patches) - len(champion)
        if len(archive.observations) - self._panelled < PAUSE or unproven < PANEL_LEAST:
            return None
        if posterior.values[archive.row(archive.champion)] > HIGH:
            return None
        draw = dict(zip(posterior.patches, posterior.sample(rng)[1:].tolist(), strict=True))
        useful = [patch for patch, effect in draw.items() if effect > 0.0 and patch not in champion]
        if len(useful) < PANEL_LEAST:
            return None
        wanted = champion.union(sorted(useful, key=lambda patch: -draw[patch])[:PANEL])
        return None if wanted in archive.composed else wanted

    # ------------------------------------------------------------------------------- who meets the champion

    def contender(self, archive: Archive, spend: Spend) -> int | None:
        """The candidate that should meet the champion now, or None.

        It was measured well enough and leads by `margin` and by enough standard errors; its test is cheap, or there
        will not be enough trials for it later. It never met this champion. Late, where no plain one can, it may
        be one with useless patches: any that was proposed, or one that was put together if its patches are worth
        `WORTH` each, taken together.
        """
        settings, champion = archive.settings, archive.row(archive.champion)
        if spend.gate_share > settings.max_gate_share or not len(archive.observations):
            return None
        posterior = self._fit(archive)
        values = posterior.values
        ready = (archive.column(TRIALS) >= settings.half) & (archive.column(ALIVE) > 0)
        ahead = values > values[champion] + settings.margin
        rows = np.flatnonzero(ready & ahead)
        rows = rows[[_may_meet(archive, archive.ids[row]) for row in rows.tolist()]]
        lead, error = posterior.lead(champion, rows)
        enough = lead > (LEAD if champion else first_lead(spend.used)) * error
        sure = {
            int(row): float(by) * _credit(archive, archive.ids[row])
            for row, by in zip(rows[enough], lead[enough], strict=True)
        }
        plain, late = _Plain(archive, posterior.effects), spend.foreseen - spend.used <= LATE * spend.foreseen
        allowed = [row for row in sure if plain(row)]
        if late and not allowed:
            allowed = [row for row in sure if _may_meet_late(archive, row, values[row] - values[champion])]
        sure = {row: sure[row] for row in allowed}
        best = max(sure.values(), default=0.0)
        if not best or not _affordable(best, posterior.noise, spend):
            return None
        equal = [row for row, by in sure.items() if by >= best - EQUAL]
        return archive.ids[min(equal, key=lambda row: (len(archive.members[row]), -sure[row]))]

    def terms(self, archive: Archive, node: int, spend: Spend) -> Terms | None:
        """Bets for the lead that is seen, and the pairs after which it was luck; None where no lead is seen.

        Without an end, a lead of 5 points that looks like 25 takes half of a campaign.
        """
        if node not in archive or not len(archive.observations):
            return None
        posterior = self._fit(archive)
        lead = _lead(archive, posterior, node) * _credit(archive, node)
        if lead <= 0.0:
            return None
        pairs = math.ceil(PATIENCE * expected_pairs(lead, posterior.noise, spend.log_threshold))
        return Terms(pairs=pairs, bets=bets_on(lead, differing(lead, posterior.noise)))

    def brings(self, archive: Archive, node: int, spend: Spend) -> bool:
        """Whether an improver should bring a contender over before its own tree meets the champion.

        By lead a trial: that of the tree itself in a test now, or that of the patch brought over, once a proposal, the
        search trials of a new candidate and a test are paid.
        """
        if not archive.bringing.open(node, archive.champion):
            return False
        posterior = self._fit(archive)
        lead, effects = _lead(archive, posterior, node), posterior.effects
        brought = hoped(archive, effects, node, kept_share(archive, effects))
        if brought <= 0.0:
            return False
        first = spend.proposal + archive.settings.half
        now, later = (2.0 * expected_pairs(one, posterior.noise, spend.log_threshold) for one in (lead, brought))
        likely = float(_reliable(archive)[archive.row(archive.champion)])
        fits = first + later <= spend.foreseen - spend.used
        return fits and likely * brought / (first + later) > lead / now


def _lead(archive: Archive, posterior: Posterior, node: int) -> float:
    """What a candidate is expected to score beyond the champion."""
    values = posterior.values
    return float(values[archive.row(node)] - values[archive.row(archive.champion)])


def _may_meet(archive: Archive, node: int) -> bool:
    """Whether a candidate never met this champion, and is not being brought over onto it."""
    pair = node, archive.champion
    return pair not in archive.tried and not archive.bringing.busy(*pair)


def _useful(effects: dict[int, float]) -> frozenset[int]:
    """The patches that seem to be worth it."""
    return frozenset(patch for patch, effect in effects.items() if effect > WORTH)


def _may_meet_late(archive: Archive, row: int, lead: float) -> bool:
    """Whether a row with useless patches may meet the champion late: proposed, or worth `WORTH` a patch."""
    held = archive.members[row]
    return archive.ids[row] in held or lead >= WORTH * len(held - archive.patches(archive.champion))


class _Plain:
    """Whether a row may meet the champion at any time.

    Beside the champion's it holds useful patches only; or it was proposed, and has no useful one, or at least two and
    no more useless ones, or it cannot be made without these, as where patches change the same lines.
    """

    def __init__(self, archive: Archive, effects: dict[int, float]) -> None:
        self._archive, self._useful = archive, _useful(effects) | archive.patches(archive.champion)

    def __call__(self, row: int) -> bool:
        archive, held = self._archive, self._archive.members[row]
        lean = held & self._useful
        useless, useful = len(held - lean), len(lean - archive.patches(archive.champion))
        if not useless:
            return True
        few = not useful or 1 < useful >= useless
        return archive.ids[row] in held and (few or archive.unmade(lean))


def first_lead(trials: int) -> float:
    """Standard errors by which a candidate must lead the seed after so many trials: 3 up to 500, 4 from 1,400 on.

    The best of a hundred leads by three also where there is nothing to find, and a lead is looked at after each trial.
    """
    return float(np.clip(3.0 + math.log(max(trials, 1) / 500.0, 1_400.0 / 500.0), 3.0, 4.0))


def _affordable(lead: float, noise: float, spend: Spend) -> bool:
    """Whether a test of such a lead is cheap, or must begin now because later it would not end.

    A small lead takes most of a campaign to prove, in which search finds larger ones; so it waits for the end.
    """
    left, cost = spend.foreseen - spend.used, 2.0 * expected_pairs(lead, noise, spend.log_threshold)
    if left < ENDS * cost * spend.wait:
        return False
    cheap = cost <= max(FEW, CHEAP * spend.foreseen)
    return cheap or left <= min(LATE * spend.foreseen, cost * LAST_CALL * spend.wait)


def _credit(archive: Archive, node: int) -> float:
    """What is believed of a candidate's lead: less with each test of another one that shares a patch with it."""
    held = archive.patches(archive.champion)
    own = archive.patches(node) - held
    tested = (one for one, champion in archive.tested if champion == archive.champion and one in archive)
    lost = sum(one != node and not own.isdisjoint(archive.patches(one)) for one in tested)
    return float(CREDIT ** min(lost, LOST))


def _reliable(archive: Archive) -> Floats:
    """The share of proposals from each row that may be expected to come to something."""
    tried = archive.column(TRIALS) + 2.0
    share: Floats = tried / (tried + archive.column(FAILED))
    return share


def _sizes(archive: Archive) -> Floats:
    """The patches that each row holds beside the champion's."""
    champion = archive.patches(archive.champion)
    return np.asarray([len(held - champion) for held in archive.members], dtype=float)


def _best(draws: Floats, allowed: np.ndarray) -> int:
    return int(np.where(allowed > 0, draws, -np.inf).argmax())


def _measure(archive: Archive, node: int) -> Measure:
    row = archive.row(node)
    return Measure(node, int(archive.column(TRIALS)[row] + archive.column(PENDING)[row]))
