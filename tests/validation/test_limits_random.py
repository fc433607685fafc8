"""Limits of random models of the full range, against NumPy's own counts and toys (independent).

One to forty bins, backgrounds of zero to 1e4 with uncertainties of 0 to 100 % in three shapes, of bins alone
or shared, signals uncertain by 0 to 60 %, in common and in single bins, data that fluctuate around all this;
and bins of several processes with named sources of three shapes, with one side or two, on any of them.
Where the reference enumerates, the error that a limit states covers the true one or not. Where it makes
toys, the difference over both errors is a pull.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from na64root.errors import ConvergenceError
from na64root.limits import Bin, CountingModel, Effect, NamedSource, upper_limit
from support.counting_reference import Reference

MOST_OUTCOMES = 1500
# Of the reference's toys: 1 % of CLs takes 40 thousand.
TOYS, MOST_TOYS_TIMES_BINS = 6000, 60_000
# A fluctuation of toys is beyond this once in 16 thousand; of a model it is an error.
FAR = 4.0
# Of a reference that enumerates: counts and grids leave less of ln CLs.
ENUMERATION, INTERPOLATION = 3e-4, 1e-3
# Of one bin with an auxiliary measurement.
MOST_EVENTS = 60


SIZES = {"one": (1, 2), "few": (2, 4), "several": (4, 8), "many": (9, 41)}


def random_model(generator, shares=(0.45, 0.4, 0.13, 0.02)):
    """A model and how it is treated; most are small, so that the reference takes a second at most."""
    bins = int(generator.integers(*SIZES[str(generator.choice(list(SIZES), p=shares))]))
    shape = str(generator.choice(["gaussian", "lognormal", "gamma"]))
    largest = 4.0 if bins == 1 else 3.0 if bins < 4 else 1.0
    background = 10.0 ** generator.uniform(-2.0, generator.uniform(0.0, largest), bins)
    relative = generator.uniform(0.0, 1.0, bins)
    if shape == "gamma":  # shared ones have one auxiliary count
        relative[:] = relative[0]
    relative[generator.random(bins) < 0.25] = 0.0
    if shape == "gaussian":
        background[generator.random(bins) < 0.1] = 0.0
    share = generator.uniform(0.05, 1.0, bins)
    if bins > 1 and generator.random() < 0.15:
        share[0] = 0.0
    own = np.zeros(bins)
    # With gamma backgrounds the core has none of a bin's own.
    if shape != "gamma" and bins < 4 and generator.random() < 0.2:
        own = generator.uniform(0.0, 0.6, bins)
    shared = generator.random() < 0.4
    common = 0.0 if generator.random() < 0.5 else generator.uniform(0.0, 0.6)
    constraint = "gaussian" if generator.random() < 0.3 else "lognormal"
    if constraint == "gaussian":  # larger ones let the signal vanish: there is no limit
        common, own = 0.5 * common, 0.3 * own
    truth = np.maximum(0.0, background * (1.0 + relative * generator.normal(size=bins)))
    signal = generator.uniform(0.0, 2.0) * math.sqrt(truth.sum() + 1.0)
    observed = generator.poisson(truth + signal * share / share.sum())
    model = CountingModel(
        tuple(
            Bin(
                f"b{i}",
                "all" if shared else f"b{i}",
                "",
                int(observed[i]),
                float(background[i]),
                float(relative[i] * background[i]),
                float(share[i]),
                float(own[i]),
            )
            for i in range(bins)
        ),
        signal_uncertainty=float(common),
        constraint=constraint,
        background_constraint=shape,
    )
    treatment = str(generator.choice(["none", "frequentist", "hybrid"], p=[0.2, 0.4, 0.4]))
    return model, treatment, float(generator.choice([0.9, 0.95]))


def random_named_source(generator, name, bins, effects_left):
    """A source on some processes of some bins, counted ones on one background that no other has counted."""
    shape = str(generator.choice(["lognormal", "gaussian", "gamma"], p=[0.6, 0.25, 0.15]))
    if shape == "gamma":
        free = [place for place in effects_left if place[2] > 0.0]
        if free:
            place = free[int(generator.integers(len(free)))]
            effects_left.remove(place)
            count = float(generator.integers(1, 40))
            return NamedSource(name, "gamma", (Effect(place[0], place[1], place[2] / count),), count)
        shape = "lognormal"
    two_sided = generator.random() < 0.3
    on_signal, on_background = [(True, False), (False, True), (True, True)][int(generator.integers(3))]
    largest = generator.uniform(0.02, 0.6) * (0.4 if on_signal and shape == "gaussian" else 1.0)
    many = generator.random() < 0.6

    def effect(b, process):
        size = float(largest * generator.uniform(0.2, 1.0) * generator.choice([1.0, -1.0], p=[0.85, 0.15]))
        other = float(largest * generator.uniform(0.05, 1.0))
        if shape == "gaussian":
            return Effect(b, process, 1.0 + size, 1.0 - math.copysign(other, size) if two_sided else None)
        up = 1.0 + size if size > 0.0 else 1.0 / (1.0 - size)
        down = (1.0 + other) ** (-1.0 if size > 0.0 else 1.0)
        return Effect(b, process, up, down if two_sided else None)

    places = [
        (b.name, process)
        for b in bins
        for chosen, names in ((on_signal, b.signals), (on_background, b.backgrounds))
        for process in names
        if chosen
    ]
    picked = [place for place in places if many or generator.random() < 0.3] or places[:1]
    interpolation = "histfactory" if generator.random() < 0.5 else "combine"
    effects = tuple(effect(*place) for place in picked)
    return NamedSource(name, shape, effects, interpolation=interpolation)


def random_named_model(generator, shares=(0.4, 0.4, 0.17, 0.03)):
    """One to six named sources on one to three backgrounds and one or two signals in each bin."""
    bins = int(generator.integers(*SIZES[str(generator.choice(list(SIZES), p=shares))]))
    largest = 4.0 if bins == 1 else 3.0 if bins < 4 else 1.0
    signals, backgrounds = int(generator.integers(1, 3)), int(generator.integers(1, 4))
    made = []
    for i in range(bins):
        total = 10.0 ** generator.uniform(-1.5, generator.uniform(0.0, largest))
        parts = total * generator.dirichlet(np.ones(backgrounds))
        share = generator.uniform(0.05, 1.0) * generator.dirichlet(np.ones(signals))
        own = float(generator.uniform(0.0, 0.5)) if generator.random() < 0.15 and backgrounds == 1 else 0.0
        made.append(
            Bin(
                f"b{i}", f"b{i}", "", 0, float(parts.sum()), own * float(parts.sum()), float(share.sum()),
                signal_processes={f"s{k}": float(value) for k, value in enumerate(share)},
                background_processes={f"p{k}": float(value) for k, value in enumerate(parts)},
            )
        )  # fmt: skip
    countable = [(b.name, process, value) for b in made for process, value in b.background_processes.items()]
    number = int(generator.integers(1, 7))
    sources = tuple(random_named_source(generator, f"n{k}", made, countable) for k in range(number))
    common = float(generator.uniform(0.0, 0.4)) if generator.random() < 0.2 else 0.0
    model = CountingModel(tuple(made), signal_uncertainty=common, named_sources=sources)
    reference = Reference(model, "hybrid")
    x = reference.drawn(generator, 1)
    without = reference.rates(np.zeros(1), x)[0][0]
    signal = generator.uniform(0.0, 2.0) * math.sqrt(without.sum() + 1.0)
    observed = generator.poisson(reference.rates(np.full(1, signal), x)[0][0])
    model = replace(
        model, bins=tuple(replace(b, observed=int(n)) for b, n in zip(made, observed, strict=True))
    )
    treatment = str(generator.choice(["frequentist", "hybrid"]))
    return model, treatment, float(generator.choice([0.68, 0.9, 0.95, 0.99], p=[0.15, 0.4, 0.35, 0.1]))


def enumerable(model, treatment, reference, mu):
    """Whether the reference enumerates counts: what auxiliary measurements do it finds by toys only."""
    if any(p.kind == "named" for p in reference.parameters):
        return False
    if treatment == "frequentist" and reference.parameters:
        one = len(model.bins) == 1 and len(reference.parameters) == 1
        return one and model.bins[0].observed + model.bins[0].background < MOST_EVENTS
    if len(model.bins) == 1:
        return True
    if len(model.bins) > 3 or any(p.kind == "own" for p in reference.parameters):
        return False
    return math.prod(len(axis) for axis in reference.counts_that_matter(mu)) < MOST_OUTCOMES


def judged(seed, made=random_model, **options):
    """(what, pull, text): `what` is "covered", "missed", "toys" or "none", of the model of a seed."""
    model, treatment, cl = made(np.random.default_rng([14, seed]), **options)
    try:
        found = upper_limit(model, cl=cl, treatment=treatment, expected=False)
    except ConvergenceError as error:
        return "none", 0.0, f"{seed}: {error}"
    mu, stated, target = found.upper_limit, found.upper_limit_error, math.log1p(-cl)
    reference = Reference(model, found.treatment)
    text = f"{seed}: {found.method} {treatment} {mu:.5g} +- {stated:.2g}, {len(model.bins)} bins"
    if enumerable(model, found.treatment, reference, mu):
        nodes = {0: 1, 1: 1001, 2: 301}.get(len(reference.parameters), 81) if len(model.bins) == 1 else 81
        frequentist = found.treatment == "frequentist"
        above, below = (
            math.log(
                reference.cls_of_one_measurement(place)[0]
                if frequentist
                else reference.cls_by_enumeration(place, nodes)[0]
            )
            - target
            for place in (mu - stated, mu + stated)
        )
        least = INTERPOLATION if frequentist else ENUMERATION
        covered = above > -least and below < least
        return "covered" if covered else "missed", 0.0, f"{text}, ln CLs {above:+.2g} to {below:+.2g}"
    toys = min(TOYS, MOST_TOYS_TIMES_BINS // len(model.bins))
    cls, error, _ = reference.cls_by_toys(mu, toys, seed)
    beside, _, _ = reference.cls_by_toys(1.15 * mu, toys, seed)  # the same random numbers
    if cls == 0.0:
        return "toys", -FAR, text
    slope = max(math.log(cls / max(beside, 1e-300)), 0.05) / math.log(1.15)
    difference = math.log(cls) - target
    # Twice a standard deviation is what limits state.
    pull = difference / math.hypot(error, 0.5 * slope * stated / mu)
    return "toys", pull, f"{text}, ln CLs {difference:+.2g} +- {error:.2g}, pull {pull:.2f}"


def check(results):
    """Coverage where the reference enumerates, pulls where it makes toys, and few models without a limit.

    The seeds are fixed. With others it fails by chance once in 25 times for 500 models, mostly since one of
    300 pulls is beyond four standard deviations (2 %) or too many are beyond two (2 %); that a limit does not
    cover is no chance where the reference enumerates.
    """
    texts = "\n".join(text for what, pull, text in results if what in ("missed", "none") or abs(pull) > 2.5)
    covered = [what == "covered" for what, _, _ in results if what in ("covered", "missed")]
    pulls = np.array([pull for what, pull, _ in results if what == "toys"])
    beyond = math.sqrt(0.05 * 0.95 / len(pulls))
    assert np.mean(covered) >= 0.95, texts
    assert np.abs(pulls).max() < FAR, texts
    assert (np.abs(pulls) < 2.0).mean() >= 0.95 - 2.0 * beyond, texts
    assert abs(pulls.mean()) < 4.0 / math.sqrt(len(pulls)), texts
    assert sum(what == "none" for what, _, _ in results) <= 0.02 * len(results), texts


def test_thirty_models():
    models = [(seed, random_model, (0.6, 0.35, 0.05, 0.0)) for seed in range(45, 66)]
    models += [(seed, random_named_model, (0.7, 0.3, 0.0, 0.0)) for seed in range(1, 10)]
    check([judged(seed, made, shares=shares) for seed, made, shares in models])


@pytest.mark.slow
def test_five_hundred_models():
    models = [(seed, random_named_model) for seed in range(30, 110)]
    models += [(seed, random_model) for seed in range(100, 520)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        check(list(pool.map(judged, *zip(*models, strict=True), chunksize=5)))
