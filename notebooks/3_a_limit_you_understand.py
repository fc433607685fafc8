# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A limit you understand
#
# Zero events are seen. How many signal events can there have been? Each number here is computed twice: by
# hand, and by na64root.

# %%
import math

import numpy as np

import na64root
from na64root.limits import Bin, CountingModel


def one_bin(observed, background, error=0.0, signal_uncertainty=0.0):
    bins = [Bin("bin", "S1", "all", observed, background, error, 1.0)]
    return CountingModel(bins=bins, signal_uncertainty=signal_uncertainty)


# %% [markdown]
# ## No background
#
# With μ signal events expected, none is seen with probability e^−μ. At 90 % confidence level μ is excluded
# where that falls
# below 10 %: at μ = ln 10.

# %%
limit = na64root.upper_limit(one_bin(0, 0.0), treatment="none")
print(f"by hand {math.log(10.0):.4f}, na64root {limit.upper_limit:.4f}")
assert math.isclose(limit.upper_limit, math.log(10.0), rel_tol=1e-3)

# %% [markdown]
# ## With background: why CLs
#
# With a background b none is seen with probability e^−(μ+b). Excluding where *that* falls below 10 %
# (CLs+b) makes the limit
# smaller by b: with a background of three events every signal would be excluded by an experiment that
# cannot see any. CLs divides
# by the probability e^−b of seeing none without a signal. What is left is e^−μ again: no limit is better
# than the one
# without background.

# %%
for background in (0.0, 0.5, 3.0):
    model = one_bin(0, background)
    cls = na64root.upper_limit(model, treatment="none").upper_limit
    by_hand = max(0.0, math.log(10.0) - background)
    print(f"background {background}: CLs {cls:.3f}, CLs+b by hand {by_hand:.3f}")
    assert math.isclose(cls, math.log(10.0), rel_tol=1e-3)

# %% [markdown]
# ## Something is seen
#
# CLs is a ratio of two sums of Poisson probabilities, for n events or fewer.

# %%


def poisson_cdf(n, mean):
    return sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(n + 1))


def cls_by_hand(mu, observed, background):
    return poisson_cdf(observed, mu + background) / poisson_cdf(observed, background)


observed, background = 2, 1.0
low, high = 0.0, 50.0
while high - low > 1e-9:
    middle = 0.5 * (low + high)
    low, high = (middle, high) if cls_by_hand(middle, observed, background) > 0.1 else (low, middle)
limit = na64root.upper_limit(one_bin(observed, background), treatment="none")
print(f"by hand {low:.4f}, na64root {limit.upper_limit:.4f}")
assert math.isclose(limit.upper_limit, low, rel_tol=1e-3)

# %% [markdown]
# ## What was to be expected?
#
# Without a signal the experiment sees n events with the Poisson probability of b. Each n has its limit;
# their median is the expected one.
# (The median jumps from one n to the next: for b = ln 2 none and some are equally likely, and a few toys
# more decide.)

# %%
rng = np.random.default_rng(1)
limits = {}
seen = rng.poisson(background, 2000)
for n in set(seen.tolist()):
    limits[n] = na64root.upper_limit(one_bin(n, background), treatment="none", expected=False).upper_limit
toys = [limits[n] for n in seen.tolist()]
print(f"median of toys {np.median(toys):.3f}, na64root {limit.expected.median:.3f}")
assert math.isclose(np.median(toys), limit.expected.median, rel_tol=2e-3)

# %% [markdown]
# ## Why more ignorance can tighten a limit
#
# Now the background is known to 30 %, the signal to 20 %, and nothing is seen. Three answers:

# %%
model = one_bin(0, 0.7, error=0.21, signal_uncertainty=0.2)
for treatment in ("none", "frequentist", "hybrid"):
    print(f"{treatment:>12}: {na64root.upper_limit(model, treatment=treatment).upper_limit:.4f}")

# %% [markdown]
# `hybrid` averages over what is not known, as over prior knowledge: the limit gets weaker, as one thinks it
# should. `frequentist`
# repeats the whole experiment, the measurement of efficiency included. Its toys with a signal are drawn
# where the data are fitted best:
# with a low efficiency. Few of those have an auxiliary measurement as high as the one that was made, so
# that the data look less
# likely, CLs falls earlier and the limit is *tighter*. Both are right answers to different questions.

# %%
by_treatment = {
    t: na64root.upper_limit(model, treatment=t).upper_limit for t in ("none", "frequentist", "hybrid")
}
assert by_treatment["frequentist"] < by_treatment["none"] < by_treatment["hybrid"]
