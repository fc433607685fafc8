"""CLs of counting models in plain NumPy, of the model's definition alone: nothing of the package's engines.

Counts are enumerated where they are few, and the nuisance parameters averaged on grids; otherwise toys. The
fit is a damped scoring method in all parameters together, of many experiments at once.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import numpy as np
from scipy import special, stats

# Where a parameter rests, and how far it may go.
REACH = 8.0
TIE = 1e-5


legendre = functools.cache(np.polynomial.legendre.leggauss)


def _joined(reach, high, low):
    """The polynomial of the sixth degree, one at zero, that has at +-reach the values (f, f', f'') given."""
    rows, values = [], []
    for x, ends in ((reach, high), (-reach, low)):
        for order, value in enumerate(ends):
            row = [math.perm(k, order) * x ** (k - order) if k >= order else 0.0 for k in range(1, 7)]
            rows.append(row)
            values.append(value - (order == 0))
    return np.polynomial.Polynomial([1.0, *np.linalg.solve(rows, values)])


def _follows(source, effect):
    """A function of the parameter: the factor of a yield, and its slope."""
    up, down = effect.up, effect.down
    if source.shape == "gaussian":
        a, b = up - 1.0, up - 1.0 if down is None else 1.0 - down
        if down is None:
            return lambda x: (1.0 + a * x, a + 0.0 * x)
        inside = _joined(1.0, (1.0 + a, a, 0.0), (1.0 - b, b, 0.0))
        return lambda x: (
            np.where(np.abs(x) < 1.0, inside(x), 1.0 + np.where(x > 0.0, a, b) * x),
            np.where(np.abs(x) < 1.0, inside.deriv()(x), np.where(x > 0.0, a, b)),
        )
    a, b = math.log(up), math.log(up) if down is None else -math.log(down)
    if down is None:
        return lambda x: (np.exp(a * x), a * np.exp(a * x))
    if source.interpolation == "histfactory":
        low = math.exp(-b)
        inside = _joined(1.0, (up, a * up, a * a * up), (low, b * low, b * b * low))

        def histfactory(x):
            near, slope = np.abs(x) < 1.0, np.where(x > 0.0, a, b)
            outside = np.exp(slope * x)
            return np.where(near, inside(x), outside), np.where(near, inside.deriv()(x), slope * outside)

        return histfactory

    def combine(x):
        # As Combine joins them: the mean slope, and a smooth step times half their difference.
        y = np.clip(2.0 * x, -1.0, 1.0)
        step = 0.125 * y * (y * y * (3.0 * y * y - 10.0) + 15.0)
        rise = np.where(np.abs(y) < 1.0, 0.25 * (15.0 * y**4 - 30.0 * y**2 + 15.0), 0.0)
        mean, half = 0.5 * (a + b), 0.5 * (a - b)
        value = np.exp((mean + half * step) * x)
        return value, value * (mean + half * step + half * rise * x)

    return combine


@dataclasses.dataclass
class Parameter:
    kind: str  # "theta" (all signal), "own" (of one bin), "eta" (of a group), "named" (of a named source)
    bins: list[int]
    low: float = -REACH
    high: float = REACH
    count: float = 0.0  # of an auxiliary count, or its unit where that was empty; 0 for a normal measurement
    is_empty: bool = False


class Reference:
    """One model under one treatment."""

    def __init__(self, model, treatment):
        self.model, self.treatment = model, treatment
        self.share = np.array(model.shares)
        self.background = np.array([b.background for b in model.bins])
        self.sigma = np.array([b.background_uncertainty for b in model.bins])
        self.observed = np.array([[float(b.observed) for b in model.bins]])
        self.shape, self.signal_shape = model.background_constraint, model.constraint
        fixed = treatment == "none"
        if fixed:
            self.sigma = 0.0 * self.sigma
        self.delta = 0.0 if fixed else model.signal_uncertainty
        self.own = (0.0 if fixed else 1.0) * np.array(model.bin_signal_uncertainties)
        self.parameters: list[Parameter] = []
        self.absolute: dict[tuple[int, str], float] = {}
        every = list(range(len(model.bins)))
        if self.delta:
            self.parameters.append(Parameter("theta", every, self._lowest(self.delta)))
        for i in every:
            if self.own[i] and self.share[i]:
                self.parameters.append(Parameter("own", [i], self._lowest(self.own[i])))
        for group in dict.fromkeys(model.background_groups):
            members = [i for i in every if model.background_groups[i] == group and self.sigma[i] > 0.0]
            if not members:
                continue
            if self.shape == "gaussian":
                low = max(-REACH, *(-self.background[i] / self.sigma[i] for i in members))
                self.parameters.append(Parameter("eta", members, low))
            elif self.shape == "lognormal":
                self.parameters.append(Parameter("eta", members))
            else:
                count = float((self.background[members[0]] / self.sigma[members[0]]) ** 2)
                self.parameters.append(Parameter("eta", members, 0.0, 1.0 + 10.0 / math.sqrt(count), count))
        self._add_named()
        self.nominal = np.array([[0.0 if p.is_empty else p.count for p in self.parameters]])
        self.low = np.array([p.low for p in self.parameters])
        self.high = np.array([p.high for p in self.parameters])

    def _add_named(self):
        """Named sources: parameters, and what acts on each process of each bin, with its part."""
        processes = {}
        for i, b in enumerate(self.model.bins):
            for name, part in b.signals.items():
                processes[i, name] = part / b.signal_fraction if b.signal_fraction else 0.0
            for name, part in b.backgrounds.items():
                processes[i, name] = part / b.background if b.background else 0.0
        self.signals = {(i, name) for i, b in enumerate(self.model.bins) for name in b.signals}
        self.parts, self.acting = processes, {place: [] for place in processes}
        names = [b.name for b in self.model.bins]
        for source in () if self.treatment == "none" else self.model.named_sources:
            parameter = Parameter("named", sorted({names.index(e.bin) for e in source.effects}))
            if source.shape == "gamma":
                parameter.count, parameter.is_empty = source.count or 1.0, source.count == 0.0
                parameter.low = 0.0
                # More have a probability of 1e-9 to give none.
                parameter.high = 20.0 if parameter.is_empty else 1.0 + 10.0 / math.sqrt(source.count)
            acts = False
            for e in source.effects:
                place = names.index(e.bin), e.process
                if source.shape == "gamma":
                    follows, acts = (lambda x: (x, 1.0 + 0.0 * x)), True
                    if parameter.is_empty:
                        # The yield of one event, over the bin's, which is zero.
                        self.absolute[place] = e.up
                    self.acting[place].append((len(self.parameters), follows))
                    continue
                if not processes[place]:
                    continue
                acts = True
                self.acting[place].append((len(self.parameters), _follows(source, e)))
                if source.shape == "gaussian":
                    up = e.up - 1.0
                    down = up if e.down is None else 1.0 - e.down
                    if down > 0.0:
                        parameter.low = max(parameter.low, -1.0 / down)
                    if up < 0.0:
                        parameter.high = min(parameter.high, -1.0 / up)
            if acts:
                self.parameters.append(parameter)

    def _lowest(self, delta):
        return -REACH if self.signal_shape == "lognormal" else max(-REACH, -1.0 / delta)

    def _scale(self, delta, theta):
        """kappa and its logarithmic slope times kappa."""
        if self.signal_shape == "lognormal":
            kappa = (1.0 + delta) ** theta
            return kappa, math.log1p(delta) * kappa
        return np.maximum(0.0, 1.0 + delta * theta), delta + 0.0 * theta

    def _background(self, i, x):
        if self.shape == "gaussian":
            return np.maximum(0.0, self.background[i] + self.sigma[i] * x), self.sigma[i] + 0.0 * x
        if self.shape == "lognormal":
            k = math.log1p(self.sigma[i] / self.background[i])
            value = self.background[i] * np.exp(k * x)
            return value, k * value
        return self.background[i] * x, self.background[i] + 0.0 * x

    def rates(self, signal, x):
        """Rates (n, bins) and their slopes (n, bins, 1 + parameters): in the signal, then the parameters."""
        n, bins = len(x), len(self.share)
        per_signal = np.tile(self.share, (n, 1))
        background = np.tile(self.background, (n, 1))
        slopes = np.zeros((n, bins, 1 + len(self.parameters)))
        logs = {}
        for k, p in enumerate(self.parameters):
            if p.kind == "named":
                continue
            if p.kind == "eta":
                for i in p.bins:
                    background[:, i], slopes[:, i, 1 + k] = self._background(i, x[:, k])
                continue
            delta = self.delta if p.kind == "theta" else self.own[p.bins[0]]
            kappa, slope = self._scale(delta, x[:, k])
            logs[k] = slope / np.maximum(kappa, 1e-12)
            for i in p.bins:
                per_signal[:, i] *= kappa
        for k, ratio in logs.items():
            for i in self.parameters[k].bins:
                slopes[:, i, 1 + k] = signal * per_signal[:, i] * ratio
        slopes[:, :, 0] = per_signal
        if any(self.acting.values()):
            return self._with_named(signal, x, per_signal, background, slopes)
        return signal[:, None] * per_signal + background, slopes

    def _with_named(self, signal, x, per_signal, background, slopes):
        """What named sources make of the rates of a bin's signal and background, and of their slopes."""
        n, bins, _ = slopes.shape
        rates, found = np.zeros((n, bins)), np.zeros_like(slopes)
        for (i, name), part in self.parts.items():
            of_signal = (i, name) in self.signals
            if (i, name) in self.absolute:
                whole, share = np.ones(n), self.absolute[i, name]
            else:
                whole, share = (per_signal[:, i] if of_signal else background[:, i]), part
            scale = signal if of_signal else np.ones(n)
            factor, logs = np.full(n, share), []
            for k, follows in self.acting[i, name]:
                value, slope = follows(x[:, k])
                factor = factor * value
                logs.append((k, slope / np.maximum(value, 1e-12)))
            rates[:, i] += scale * whole * factor
            for k, p in enumerate(self.parameters):
                if i in p.bins and (p.kind == "eta") != of_signal and p.kind != "named":
                    found[:, i, 1 + k] += slopes[:, i, 1 + k] * factor
            for k, ratio in logs:
                found[:, i, 1 + k] += scale * whole * factor * ratio
            if of_signal:
                found[:, i, 0] += whole * factor
        return rates, found

    def minus_log(self, rates, counts, x, measured):
        value = (rates - special.xlogy(counts, np.maximum(rates, 1e-300))).sum(axis=1)
        for k, p in enumerate(self.parameters):
            if p.count:
                value += p.count * x[:, k] - special.xlogy(measured[:, k], np.maximum(x[:, k], 1e-300))
            else:
                value += 0.5 * (x[:, k] - measured[:, k]) ** 2
        return value

    def fit(self, counts, measured, mu=None):
        """The minimum of -ln L, the signal and the parameters there; the signal is free where mu is None."""
        n, size = len(counts), 1 + len(self.parameters)
        low, high = np.r_[0.0, self.low + 1e-9], np.r_[np.inf, self.high]
        x = np.empty((n, size))
        for k, p in enumerate(self.parameters):
            start = (measured[:, k] + p.is_empty) / p.count if p.count else measured[:, k]
            x[:, 1 + k] = np.clip(start, p.low + 0.02, p.high - 0.02)
        x[:, 0] = mu if mu is not None else np.maximum(counts.sum(axis=1) - self.background.sum(), 0.3)
        if mu is not None:
            low[0] = high[0] = mu
        todo = np.arange(n)
        damping = np.full(n, 1e-6)
        value = np.full(n, np.inf)
        rates, slopes = self.rates(x[:, 0], x[:, 1:])
        value = self.minus_log(rates, counts, x[:, 1:], measured)
        for _ in range(150):
            c, at = counts[todo], x[todo]
            rates, slopes = self.rates(at[:, 0], at[:, 1:])
            safe = np.maximum(rates, 1e-300)
            gradient = np.einsum("nb,nbk->nk", 1.0 - c / safe, slopes)
            # Scoring: counts of the data where there are any, else those expected.
            weights = np.maximum(c, 1e-3) / np.maximum(rates, 1e-100) ** 2
            hessian = (weights[:, :, None] * slopes).transpose(0, 2, 1) @ slopes
            for k, p in enumerate(self.parameters):
                m = measured[todo, k]
                if p.count:
                    gradient[:, 1 + k] += p.count - m / np.maximum(at[:, 1 + k], 1e-300)
                    hessian[:, 1 + k, 1 + k] += np.maximum(m, 1e-3) / np.maximum(at[:, 1 + k], 1e-9) ** 2
                else:
                    gradient[:, 1 + k] += at[:, 1 + k] - m
                    hessian[:, 1 + k, 1 + k] += 1.0
            held = ((at <= low) & (gradient > 0.0)) | ((at >= high) & (gradient < 0.0))
            diagonal = np.arange(size)
            hessian[:, diagonal, diagonal] *= 1.0 + damping[todo, None]
            hessian[:, diagonal, diagonal] += 1e-12
            hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
            hessian[:, diagonal, diagonal] += held
            step = -np.linalg.solve(hessian, np.where(held, 0.0, gradient)[..., None])[..., 0]
            new = np.clip(at + step, low, high)
            new_rates, _ = self.rates(new[:, 0], new[:, 1:])
            new_value = self.minus_log(new_rates, c, new[:, 1:], measured[todo])
            better = new_value <= value[todo] + 1e-13 * np.abs(value[todo])
            gain = value[todo] - new_value
            damping[todo] = np.where(better, damping[todo] * 0.1, np.maximum(damping[todo], 1e-3) * 8.0)
            x[todo[better]], value[todo[better]] = new[better], new_value[better]
            finished = (better & (gain < 1e-9 * (1.0 + 1e-4 * np.abs(new_value)))) | (damping[todo] > 1e9)
            todo = todo[~finished]
            if not len(todo):
                break
        return value, x[:, 0], x[:, 1:]

    def statistic(self, mu, counts, measured):
        """-ln of the ratio of likelihoods, zero where the best signal exceeds mu."""
        at_mu, _, _ = self.fit(counts, measured, mu)
        free, best, _ = self.fit(counts, measured)
        return np.where(best > mu, 0.0, np.maximum(0.0, at_mu - free))

    # ----------------------------------------------------------------------------------- enumeration

    def grids(self, nodes=121):
        """For each parameter nodes and weights of its prior, by the rule of Gauss and Legendre."""
        found = []
        nodes, weights = legendre(nodes)
        for p in self.parameters:
            if p.count:
                deviation = math.sqrt(p.count + 1.0) / p.count
                low = max(0.0, 1.0 - 7.0 * deviation)
                high = min(p.high, 1.0 + (8.0 + 20.0 * deviation) * deviation)
                x = low + 0.5 * (high - low) * (nodes + 1.0)
                w = weights * np.exp(p.count * (np.log(x) - x + 1.0))
            else:
                x = p.low + 0.5 * (p.high - p.low) * (nodes + 1.0)
                w = weights * np.exp(-0.5 * x**2)
            found.append((x, w / w.sum()))
        return found

    def probabilities(self, mu, axes, nodes, distribution=stats.poisson.pmf):
        """Of all counts of the axes (outer product), averaged over the priors."""
        grids = dict(zip([id(p) for p in self.parameters], self.grids(nodes), strict=True))
        theta = next((p for p in self.parameters if p.kind == "theta"), None)
        t, tw = grids[id(theta)] if theta else (np.zeros(1), np.ones(1))
        kappa = self._scale(self.delta, t)[0] if theta else np.ones(1)
        total = np.ones((len(t),) + (1,) * len(axes))
        done: set[int] = set()
        for p in [p for p in self.parameters if p.kind == "eta"] + [None]:
            members = p.bins if p else [i for i in range(len(axes)) if i not in done]
            for group in [members] if p else [[i] for i in members]:
                done.update(group)
                x, xw = grids[id(p)] if p else (np.zeros(1), np.ones(1))
                product = np.ones((len(t), len(x)) + (1,) * len(axes))
                for i in group:
                    own = next((q for q in self.parameters if q.kind == "own" and q.bins == [i]), None)
                    o, ow = grids[id(own)] if own else (np.zeros(1), np.ones(1))
                    scale = self._scale(self.own[i], o)[0] if own else np.ones(1)
                    b = self._background(i, x)[0] if p else np.full(1, self.background[i])
                    rate = mu * self.share[i] * kappa[:, None, None] * scale[None, None, :] + b[None, :, None]
                    table = np.stack([distribution(n, rate) @ ow for n in axes[i]], axis=-1)
                    shape = [len(t), len(x)] + [1] * len(axes)
                    shape[2 + i] = len(axes[i])
                    product = product * table.reshape(shape)
                total = total * np.tensordot(xw, product, axes=(0, 1))
        return np.tensordot(tw, total, axes=(0, 0))

    def counts_that_matter(self, mu, tail=1e-9):
        """For each bin the counts between the quantiles of the widest rates."""
        axes = []
        for i in range(len(self.share)):
            spread = 6.0 * self.sigma[i]
            low = max(0.0, self.background[i] - spread) if self.shape == "gaussian" else 0.0
            if self.shape != "gaussian" and self.sigma[i]:
                relative = self.sigma[i] / self.background[i]
                low = self.background[i] * (1.0 + relative) ** -6.0
            # q falls with every count of one bin: counts far above the observed ones are never in the tail.
            high = max(self.observed[0, i], mu * self.share[i] + self.background[i] + spread)
            first = stats.poisson.ppf(tail, low) if low > 0.0 else 0.0
            axes.append(np.arange(first, stats.poisson.isf(tail, max(high, 1e-9)) + 2.0))
        return axes

    def cls_by_enumeration(self, mu, nodes=121):
        """CLs, exact up to the grids; of the treatments none and hybrid."""
        if len(self.share) == 1:  # q falls with the count
            with_signal, without = (
                self.probabilities(m, [self.observed[0]], nodes, stats.poisson.cdf).sum() for m in (mu, 0.0)
            )
            return with_signal / without, without
        axes = self.counts_that_matter(mu)
        counts = np.array(list(itertools.product(*axes)))
        measured = np.repeat(self.nominal, len(counts), axis=0)
        observed = self.statistic(mu, self.observed, self.nominal)[0]
        q = np.concatenate(
            [
                self.statistic(mu, counts[i : i + 20000], measured[i : i + 20000])
                for i in range(0, len(counts), 20000)
            ]
        )
        passed = (q >= observed - TIE * (1.0 + observed)).reshape([len(a) for a in axes])
        with_signal, without = ((self.probabilities(m, axes, nodes) * passed).sum() for m in (mu, 0.0))
        return with_signal / without, without

    def cls_of_one_measurement(self, mu):
        """CLs, frequentist, of one bin with one auxiliary measurement: q rises with it and falls with the
        count. Its crossing is interpolated in the root of q, of an auxiliary count all values are summed."""
        (p,) = self.parameters
        observed = self.statistic(mu, self.observed, self.nominal)[0]
        # A measurement that is continuous has no ties; there a tolerance moves its crossing.
        threshold = observed - (TIE * (1.0 + observed) if p.count else 0.0)
        tails = []
        for true_mu in (mu, 0.0):
            x = self.fit(self.observed, self.nominal, true_mu)[2]
            rate = self.rates(np.array([true_mu]), x)[0][0, 0]
            mean = p.count * x[0, 0] if p.count else x[0, 0]
            counts = np.arange(stats.poisson.ppf(1e-8, rate), stats.poisson.isf(1e-8, rate) + 1.0)
            if p.count:
                measured = np.arange(stats.poisson.ppf(1e-8, mean), stats.poisson.isf(1e-8, mean) + 1.0)
            else:
                measured = mean + np.linspace(-6.0, 6.0, 97)
            pairs = np.array(list(itertools.product(counts, measured)))
            q = self.statistic(mu, pairs[:, :1], pairs[:, 1:]).reshape(len(counts), len(measured))
            passed = q >= threshold
            if p.count:
                parts = passed @ stats.poisson.pmf(measured, mean)
            else:
                first = passed.argmax(axis=1)
                rows = np.arange(len(counts))
                high, low = np.sqrt(q[rows, first]), np.sqrt(q[rows, np.maximum(first - 1, 0)])
                share = (math.sqrt(max(observed, 0.0)) - low) / np.maximum(high - low, 1e-12)
                step = measured[1] - measured[0]
                crossing = measured[np.maximum(first - 1, 0)] + np.clip(share, 0.0, 1.0) * step
                parts = np.where(
                    q[:, 0] >= threshold - TIE, 1.0, stats.norm.sf(crossing - mean) * passed.any(axis=1)
                )
            tails.append(float(stats.poisson.pmf(counts, rate) @ parts))
        return tails[0] / tails[1], tails[1]

    # ------------------------------------------------------------------------------------------ toys

    def drawn(self, generator, number):
        """Parameters from their priors, shape (number, parameters)."""
        x = np.empty((number, len(self.parameters)))
        for k, p in enumerate(self.parameters):
            if p.count:
                shape = self.nominal[0, k] + 1.0
                x[:, k] = np.minimum(generator.gamma(shape, size=number) / p.count, p.high)
            else:
                a, b = special.ndtr(p.low), special.ndtr(p.high)
                x[:, k] = special.ndtri(generator.uniform(a, b, size=number))
        return x

    def cls_by_toys(self, mu, number, seed):
        """CLs and the error of its logarithm."""
        generator = np.random.default_rng(seed)
        observed = self.statistic(mu, self.observed, self.nominal)[0]
        tails = []
        for true_mu in (mu, 0.0):
            if self.treatment == "frequentist":
                x = np.repeat(self.fit(self.observed, self.nominal, true_mu)[2], number, axis=0)
                measured = np.empty_like(x)
                for k, p in enumerate(self.parameters):
                    measured[:, k] = (
                        generator.poisson(p.count * x[:, k])
                        if p.count
                        else x[:, k] + generator.normal(size=number)
                    )
            else:
                measured = np.repeat(self.nominal, number, axis=0)
                x = self.drawn(generator, number)
            rates, _ = self.rates(np.full(number, true_mu), x)
            counts = generator.poisson(rates).astype(float)
            q = self.statistic(mu, counts, measured)
            tails.append((q >= observed - TIE * (1.0 + observed)).mean())
        with_signal, without = tails
        if with_signal == 0.0 or without == 0.0:
            return 0.0, math.inf, without
        variance = sum((1.0 - p) / (p * number) for p in tails)
        return with_signal / without, math.sqrt(variance), without
