# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Exercises, with answers
#
# For a course of two hours. Try each before you read on; the answers are computed, and each checks itself.

# %%
import math

import numpy as np

import na64root
from na64root.limits import Bin, CountingModel

card = na64root.load_card()

# %% [markdown]
# ## 1. How far does χ₂ fly?
#
# For m_A′ = 0.2 GeV and ε = 10⁻³: what is its decay length in the laboratory at 50 GeV? Which part of the
# detector is that?
#
# *Answer*: βγ cτ, with γ = E/m.

# %%
from na64root.exclusion.explain import explain

said = explain(card, mass_GeV=0.2, epsilon=1e-3)
gamma = 50.0 / said.chi2_mass_GeV
length_cm = math.sqrt(gamma**2 - 1.0) * said.chi2_ctau_cm
print(f"c tau {said.chi2_ctau_cm:.3g} cm, {length_cm:.3g} cm in the laboratory")
print(
    "where it decays:", {name: round(share, 3) for name, share in said.decay_probability.model_dump().items()}
)

# %% [markdown]
# ## 2. Scaling with ε
#
# By how much does the decay length change when ε is halved? And the number of dark photons?
#
# *Answer*: both widths and cross sections go with ε²: four times longer, four times fewer.

# %%
half = explain(card, mass_GeV=0.2, epsilon=5e-4)
assert math.isclose(half.chi2_ctau_cm / said.chi2_ctau_cm, 4.0, rel_tol=1e-9)
assert math.isclose(said.cross_section_pb.etl / half.cross_section_pb.etl, 4.0, rel_tol=1e-9)

# %% [markdown]
# ## 3. More electrons
#
# The search has no background and sees nothing. How does the smallest excluded ε change with ten times the
# electrons, where χ₂ flies far
# beyond the detector for small ε?
#
# *Answer*: S2 counts χ₂ that leave, which all of them do: events go with ε², so ε goes with one over the
# root of ten. Compare at 10 MeV.

# %%
few = [
    "plane.mass_points=3",
    "plane.mass_min_GeV=0.008",
    "plane.mass_max_GeV=0.0125",
    "plane.epsilon_points=30",
]
changed = na64root.load_card(overrides=few)
edges = {}
for eot in (1e11, 1e12):
    plane = na64root.scan(changed, "mass-epsilon", exposure=changed.exposure({"all": eot}))
    edges[eot] = plane.epsilon_low[1]
ratio = edges[1e11] / edges[1e12]
print(f"{ratio:.3f}, the root of ten is {math.sqrt(10.0):.3f}")
assert abs(ratio / math.sqrt(10.0) - 1.0) < 0.15  # the background grows too

# %% [markdown]
# ## 4. How often is a limit wrong?
#
# A signal of 3 events is there, with a background of 0.5. In which share of experiments is it excluded at
# 90 % confidence level?
#
# *Answer*: in 10 % at most; with CLs in fewer, since seeing less than the background never excludes by
# itself.

# %%


def limit_of(n):
    model = CountingModel(bins=[Bin("bin", "S1", "all", n, 0.5, 0.0, 1.0)])
    return na64root.upper_limit(model, treatment="none", expected=False).upper_limit


def poisson(n, mean):
    return math.exp(-mean) * mean**n / math.factorial(n)


excluded = sum(poisson(n, 3.5) for n in range(15) if limit_of(n) < 3.0)
print(f"{100 * excluded:.1f} %")
assert excluded < 0.1

# %% [markdown]
# ## 5. Two signatures or one?
#
# S1 and S2 have shares 0.2 and 0.8 of the signal, the same background of 0.3, and no event. Is the limit
# with both better than with S2 alone?
#
# *Answer*: with both, the limit on the total is ln 10. With S2 alone it is ln 10 over its share.

# %%
both = CountingModel(
    bins=[Bin("S1", "S1", "all", 0, 0.3, 0.0, 0.2), Bin("S2", "S2", "all", 0, 0.3, 0.0, 0.8)]
)
together = na64root.upper_limit(both, treatment="none").upper_limit
alone = na64root.upper_limit(CountingModel(bins=[Bin("S2", "S2", "all", 0, 0.3, 0.0, 1.0)]), treatment="none")
print(f"together {together:.3f}, S2 alone {alone.upper_limit / 0.8:.3f}")
assert math.isclose(together, math.log(10.0), rel_tol=1e-3)
assert np.isclose(alone.upper_limit / 0.8, math.log(10.0) / 0.8, rtol=1e-3)
