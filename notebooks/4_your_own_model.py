# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own model
#
# The search is for A′ → χ₁χ₂ with χ₂ → χ₁e⁺e⁻. Four numbers make the model beside mass and ε: α_D,
# m_A′/m_χ₁, the splitting, and what the A′
# decays to. Here they are changed; then the efficiency is taken to a model that is not in the program.

# %%
import math
import tempfile
from pathlib import Path

import numpy as np

import na64root
from na64root import overlays
from na64root.signal import Parameters
from na64root.simulation.efficiency_map import make_map

# %% [markdown]
# ## Other parameters
#
# A larger splitting lets χ₂ decay earlier: the width goes with the fifth power of the splitting.

# %%
mass, epsilon = 0.2, 3e-4
for splitting in (0.2, 0.4, 0.6):
    card = na64root.load_card(overrides=[f"model.relative_splitting={splitting}"])
    s1, s2 = na64root.expected_signal(card, mass, epsilon)[0, 0]
    print(f"splitting {splitting}: S1 {s1:8.3f}, S2 {s2:8.3f}")

# %% [markdown]
# Everything that other experiments say is computed for the same parameters; each curve has its source and
# what to keep in mind.

# %%
point = Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
region = overlays.e137([0.1, 0.2], point)
print(region.source, "|", region.caveat)
print(overlays.relic_line([0.1, 0.2], point).y)

# %% [markdown]
# ## Any plane
#
# Of any two parameters, the others as in the card.

# %%
from na64root.exclusion.grids import Axis

card = na64root.load_card()
plane = na64root.Plane.of_axes(card, Axis("mass", 0.05, 0.5, 6), Axis("splitting", 0.2, 0.8, 5), epsilon=1e-3)
result = na64root.scan(card, plane)
for splitting, row in zip(result.y, result.upper_limit_mu, strict=True):
    print(f"{splitting:.2f}", " ".join("excluded" if mu is not None and mu < 1 else "-" for mu in row))

# %% [markdown]
# ## A model that is not in the program
#
# A map gives the efficiency of S1 and S2 for a χ₂ of an energy and a lifetime, whatever made it. Fold it
# with your own spectrum.

# %%
table = make_map(card, 0.2, ctau_cm=(10.0, 1000.0), points_per_decade=3, energy_bins=8, events=3000)
path = Path(tempfile.mkdtemp()) / "map.json"
table.save(path)
energies = np.linspace(45.0, 80.0, 26)  # the map says where it ends, and refuses what lies beyond
weights = np.exp(-0.5 * ((energies - 70.0) / 10.0) ** 2)
weights /= weights.sum()
for ctau in (30.0, 300.0):
    for signature in ("S1", "S2"):
        share, error = na64root.EfficiencyMap.load(path).fold(signature, energies, weights, ctau_cm=ctau)
        print(f"c tau {ctau:g} cm, {signature}: {100 * share:.2f} ± {100 * error:.2f} %")
        assert 0.0 <= share <= 1.0
        assert math.isfinite(error)
