# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own ntuple
#
# Your tree has other names and other units. It need not be written again: a table of a card says which
# branch is what.

# %%
import tempfile
from pathlib import Path

import na64root
from na64root.cling import root
from na64root.ntuple import inspect
from na64root.simulation.options import PseudodataOptions

folder = Path(tempfile.mkdtemp())
card = na64root.load_card()
exposure = {"all": 4e9}
na64root.pseudodata(card, folder / "usual.root", PseudodataOptions(eot=exposure))

# %% [markdown]
# A stand-in for your file: the same events, some branches renamed, energies of the ECAL in MeV, in a tree
# of another name.

# %%
ROOT = root()
frame = ROOT.RDataFrame("tree", str(folder / "usual.root"))
frame = frame.Define("runNumber", "run").Define("spillNumber", "spill").Define("eventNumber", "spillevent")
frame = frame.Define("ecalMeV", "1000.0 * ecalTotal")
renamed = {"run", "spill", "spillevent", "ecalTotal"}
names = [str(name) for name in frame.GetColumnNames() if str(name) not in renamed]
frame.Snapshot("events", str(folder / "mine.root"), names)

# %% [markdown]
# ## What is in it?

# %%
seen = inspect([str(folder / "mine.root")], card)
(tree,) = [one for one in seen.trees if one.name == "events"]
print(f"{tree.name}: {tree.entries} events, {len(tree.columns)} branches")
for column in tree.columns[:8]:
    print(f"{column.name:>24} {column.type:<12} {column.minimum} to {column.maximum}")

# %% [markdown]
# `inspect` proposes the table, with a reason for each line. It is a guess, from names, types and the scale
# of energies: read it.

# %%
if seen.proposed_layout is not None:
    print(seen.proposed_layout.toml)

# %% [markdown]
# ## The table, in a card of your own
#
# Branches that keep their name are named too: what is not in the table is not in the tree.

# %%
wanted = [
    "isPhysics",
    "isTriggerPhysics",
    "isOnSpill",
    "isCalibration",
    "ecal0",
    "ecalTotalNoTimecut",
    "ECAL_ene",
]
wanted += ["hcal0", "hcal1", "hcal2", "HCAL_ene", "VETO_ene", "SRD_ene", "trackMomentum", "showerChi2"]
wanted += ["straw3X", "straw3Y"]
lines = ['extends = "paper2021"', "[card]", 'name = "mine"', 'description = "my tree"']
lines += ["[layout]", 'tree = "events"', "[layout.branches]"]
lines += ['run = "runNumber"', 'spill = "spillNumber"', 'spillevent = "eventNumber"']
lines += ['ecalTotal = { branch = "ecalMeV", unit = "MeV" }']
lines += [f'{name} = "{name}"' for name in wanted if name in names]
(folder / "mine.toml").write_text("\n".join(lines) + "\n", "utf-8")
mine = na64root.load_card(folder / "mine.toml")

# %% [markdown]
# ## Does it change anything?
#
# It must not: the same events give the same cut flow.

# %%
options = na64root.SelectionOptions(eot=exposure)
usual = na64root.select([str(folder / "usual.root")], card, options)
other = na64root.select([str(folder / "mine.root")], mine, options)
for row in other.cutflow:
    if row.period == "2018" and row.signature == "S1":
        print(f"{row.cut:>14} {row.events:6d}")
assert other.cutflow == usual.cutflow
