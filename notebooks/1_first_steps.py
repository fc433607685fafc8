# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # First steps, in ten minutes
#
# NA64 shoots electrons of 100 GeV at a calorimeter and looks for events in which energy is missing. Here
# you make data, select
# events as the published search does, set a limit and see what it excludes. Nothing is downloaded: the data
# are simulated
# backgrounds. Open this file with Jupyter and jupytext, or run it with Python.

# %%
import tempfile
from pathlib import Path

import na64root

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## The card
#
# Every number of the analysis is in a card, with where it is from: published, derived from something
# published, or assumed.

# %%
card = na64root.load_card()
threshold = card.selection.ecal.s2_max_GeV
print(f"{threshold.value:g} GeV, {threshold.provenance}: {threshold.source}")
print(f"{len(card.assumed())} numbers are assumed")

# %% [markdown]
# ## Data
#
# Pseudo-data of 10¹⁰ electrons, in the format of the experiment: one tree, one entry an event.

# %%
from na64root.simulation.options import PseudodataOptions

data = folder / "data.root"
written = na64root.pseudodata(card, data, PseudodataOptions(eot={"all": 1e10}))
print(f"{written.events} events in {written.file}")

# %% [markdown]
# ## Selection
#
# The two signatures: S1 has its energy in HCAL2 and HCAL3, S2 has none anywhere. All cuts are made in one
# pass over the events.

# %%
found = na64root.select([str(data)], card, na64root.SelectionOptions(eot={"all": 1e10}))
for row in found.cutflow:
    if row.period == "2018" and row.signature == "S2":
        print(f"{row.cut:>14} {row.events:6d}")

# %%
for count in found.counts:
    print(f"{count.period} {count.signature}: {count.observed} seen, {count.background:.4f} expected")

# %% [markdown]
# ## What a signal would give
#
# How many events a dark photon of 0.2 GeV would have left in all the electrons of the card, for some
# couplings ε:

# %%
epsilon = [1e-4, 1e-3, 1e-2]
for value, (s1, s2) in zip(epsilon, na64root.expected_signal(card, 0.2, epsilon)[0], strict=True):
    print(f"epsilon {value:g}: {s1:.3g} events in S1, {s2:.3g} in S2")

# %% [markdown]
# More coupling means more dark photons, and χ₂ that decay earlier: in the end all of them decay before the
# veto. That is why the
# excluded region has an upper edge.
#
# ## A limit, and the plane

# %%
from na64root.limits import Bin

bins = [Bin("S1", "S1", "all", 0, 0.19, 0.07, 0.4), Bin("S2", "S2", "all", 0, 0.53, 0.17, 0.6)]
limit = na64root.upper_limit(na64root.CountingModel(bins=bins, signal_uncertainty=0.2))
print(f"more than {limit.upper_limit:.3f} signal events are excluded at {limit.cl:.0%} confidence level")

# %%
coarse = na64root.load_card(overrides=["plane.mass_points=12", "plane.epsilon_points=14"])
plane = na64root.scan(coarse, "mass-epsilon")
for mass, low, high in zip(plane.x, plane.epsilon_low, plane.epsilon_high, strict=True):
    if low is not None:
        print(f"{mass:8.4f} GeV: epsilon from {low:.2e} to {high:.2e}")
print(f"the central g-2 line is excluded up to {plane.g2_excluded_up_to_GeV:.3f} GeV")
assert 0.36 < plane.g2_excluded_up_to_GeV < 0.42  # what the assumed numbers leave, docs/assumptions.md
