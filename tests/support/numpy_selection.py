"""The cut table of the card `paper2021` in NumPy, written from its definition: an independent reference."""

from __future__ import annotations

import numpy as np

from na64root.cling import root

FLAGS = ["isPhysics", "isCalibration", "isOnSpill", "isTriggerPhysics"]
ENERGIES = ["ecalTotal", "ecalTotalNoTimecut", "ecal0", "hcal0", "hcal1", "hcal2"]
SCALARS = ["run", *FLAGS, *ENERGIES, "showerChi2", "trackMomentum", "straw3X", "straw3Y"]
ARRAYS = {"ECAL_ene": (2, 6, 6), "HCAL_ene": (4, 3, 3), "SRD_ene": (4,), "VETO_ene": (6,)}
PERIODS = {"2016": (0, 2466), "2017": (2505, 3465), "2018": (3855, 4223)}
COMMON = ["trigger", "pile_up", "straw", "beam_cell", "srd", "momentum", "preshower"]
CUTS = {
    "S1": [*COMMON, "ecal", "veto", "hcal", "r", "shower_chi2"],
    "S2": [*COMMON, "ecal", "veto", "hcal", "shower_chi2"],
}


def read(path: str) -> dict[str, np.ndarray]:
    """All events of a file, read branch by branch with TTree."""
    ROOT = root()
    events = {k: np.asarray(v) for k, v in ROOT.RDataFrame("tree", path).AsNumpy(SCALARS).items()}
    file = ROOT.TFile.Open(path)
    tree = file.Get("tree")
    for name, shape in ARRAYS.items():
        buffer, branch = np.zeros(shape), tree.GetBranch(name)
        branch.SetAddress(buffer)
        events[name] = np.zeros((tree.GetEntries(), *shape))
        for i in range(len(events[name])):
            branch.GetEntry(i)
            events[name][i] = buffer
    file.Close()
    return events


def finite(*columns: np.ndarray) -> np.ndarray:
    return np.logical_and.reduce(
        [np.isfinite(column).reshape(len(column), -1).all(axis=1) for column in columns]
    )


def masks(events: dict[str, np.ndarray], signature: str) -> dict[str, np.ndarray]:
    """Which events pass each cut, taken alone."""
    with np.errstate(all="ignore"):
        return _masks(events, signature)


def _cells(e: dict[str, np.ndarray]) -> np.ndarray:
    return (e["ECAL_ene"][:, 0] + e["ECAL_ene"][:, 1]).reshape(len(e["run"]), 36)


def _leading_cell(e: dict[str, np.ndarray]) -> np.ndarray:
    """-1 where no cell is larger than all others."""
    cells = _cells(e)
    largest = cells.max(axis=1, keepdims=True)
    unique = (cells == largest).sum(axis=1) == 1
    return np.where(unique & np.isfinite(cells).all(axis=1), cells.argmax(axis=1), -1)


def _veto(e: dict[str, np.ndarray]) -> np.ndarray:
    pairs = np.sort(e["VETO_ene"].reshape(len(e["run"]), 3, 2), axis=2)
    low, high = pairs[..., 0], pairs[..., 1]
    return np.where((low < 0.3 * high) | (high < 0), high, np.sqrt(low * high)).sum(axis=1)


def _hcal_core(e: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Energy of HCAL2 and HCAL3, and of their core cells."""
    behind = e["HCAL_ene"][:, 1:3]
    total = behind.sum(axis=(1, 2, 3))
    core = behind[:, 0, 1, 1] + behind[:, 1, 1, 1]
    is_2018 = (e["run"] >= 3855) & (e["run"] <= 4223)
    return total, core + np.where(is_2018, behind[:, 1, 2, 1], 0.0)


def _masks(e: dict[str, np.ndarray], signature: str) -> dict[str, np.ndarray]:
    cells = _cells(e)
    others = np.delete(cells, 21, axis=1)
    srd = e["SRD_ene"][:, :3]
    veto = _veto(e)
    behind = e["HCAL_ene"][:, 1:3]
    total, core = _hcal_core(e)
    hcal = [e["hcal0"], e["hcal1"], e["hcal2"]]
    if signature == "S1":
        ecal, in_hcal = e["ecalTotal"] < 85, (hcal[0] < 1) & (hcal[1] + hcal[2] > 15)
    else:
        ecal, in_hcal = e["ecalTotal"] < 50, hcal[0] + hcal[1] + hcal[2] < 1
    out_of_time = e["ecalTotalNoTimecut"] - e["ecalTotal"]
    straws = [e["straw3X"], e["straw3Y"]]
    return {
        "trigger": e["isPhysics"] & e["isTriggerPhysics"] & e["isOnSpill"] & ~e["isCalibration"],
        "pile_up": finite(out_of_time) & (out_of_time < 30),
        "straw": np.logical_and.reduce([(hits >= 1) & (hits <= 5) for hits in straws]),
        "beam_cell": finite(cells) & (cells[:, 21] > others.max(axis=1)),
        "srd": finite(srd) & (srd > 0.001).all(axis=1) & ((srd < 0.08).sum(axis=1) >= 2),
        "momentum": np.abs(e["trackMomentum"] - 100) < 3,
        "preshower": finite(e["ecal0"]) & (e["ecal0"] > 0.4),
        "ecal": finite(e["ecalTotal"]) & ecal,
        "veto": finite(e["VETO_ene"]) & (veto < 0.01),
        "hcal": finite(*hcal) & in_hcal,
        "r": finite(behind) & (total > 0) & ((total - core) / total < 0.06),
        "shower_chi2": finite(e["showerChi2"]) & (e["showerChi2"] < 10),
    }


def cutflow(events: dict[str, np.ndarray]) -> dict[tuple[str, str, str], int]:
    """Events after each cut by (period, signature, cut)."""
    return {key: int(n) for key, n in weighted_cutflow(events, np.ones(len(events["run"]))).items()}


def weighted_cutflow(events: dict[str, np.ndarray], weights: np.ndarray) -> dict[tuple[str, str, str], float]:
    """Sums of weights, shape (n_events,), after each cut by (period, signature, cut)."""
    flow = {}
    for signature, names in CUTS.items():
        passes = masks(events, signature)
        for period, (first, last) in PERIODS.items():
            left = (events["run"] >= first) & (events["run"] <= last)
            flow[period, signature, "initial"] = weights[left].sum()
            for name in names:
                left = left & passes[name]
                flow[period, signature, name] = weights[left].sum()
    return flow


def in_periods(events: dict[str, np.ndarray]) -> np.ndarray:
    run = events["run"]
    return np.logical_or.reduce([(run >= first) & (run <= last) for first, last in PERIODS.values()])


def n_minus_one(events: dict[str, np.ndarray], signature: str, cut: str) -> np.ndarray:
    """Which events of the periods pass every cut of a signature but one."""
    passes = masks(events, signature)
    return np.logical_and.reduce(
        [in_periods(events), *(passes[name] for name in CUTS[signature] if name != cut)]
    )


def variables(e: dict[str, np.ndarray], signature: str) -> dict[tuple[str, str], np.ndarray]:
    """What each cut looks at, by cut and the name of the quantity."""
    with np.errstate(all="ignore"):
        found = {
            ("trigger", "trigger"): _masks(e, signature)["trigger"].astype(float),
            ("pile_up", "out_of_time"): e["ecalTotalNoTimecut"] - e["ecalTotal"],
            ("straw", "straw3X"): e["straw3X"],
            ("straw", "straw3Y"): e["straw3Y"],
            ("beam_cell", "leading_cell"): _leading_cell(e),
            **{("srd", f"srd{i}"): e["SRD_ene"][:, i] for i in range(3)},
            ("momentum", "momentum"): e["trackMomentum"],
            ("preshower", "preshower"): e["ecal0"],
            ("ecal", "ecal"): e["ecalTotal"],
            ("veto", "veto"): _veto(e),
            ("shower_chi2", "shower_chi2"): e["showerChi2"],
        }
        if signature == "S1":
            found["hcal", "hcal1"] = e["hcal0"]
            found["hcal", "hcal2_hcal3"] = e["hcal1"] + e["hcal2"]
            total, core = _hcal_core(e)
            found["r", "r"] = np.where(total > 0, 1.0 - core / total, np.nan)
        else:
            found["hcal", "hcal"] = e["hcal0"] + e["hcal1"] + e["hcal2"]
    return found


def binned(values: np.ndarray, weights: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, float]:
    """Sums of weights in bins [low, high), and of all that is in none."""
    place = np.searchsorted(edges, values, side="right") - 1
    inside = np.isfinite(values) & (place >= 0) & (place < len(edges) - 1)
    contents = np.bincount(place[inside], weights[inside], minlength=len(edges) - 1)
    return contents, weights[~inside].sum()
