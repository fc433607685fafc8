"""Events planted on both sides of every cut, with NaN and calibration events: the counts are known by hand.

Each planted event names the cut that rejects it in S1 and in S2 ("pass" where none does), worked out from the
definition of the cuts and not by any code.
"""

from __future__ import annotations

import numpy as np

from na64root import selection
from support import numpy_selection
from support.tree_a import ecal_cell, event, hcal_cells, s1_event

NAN, INF = float("nan"), float("inf")


def two_leading_cells() -> np.ndarray:
    return ecal_cell(3, 3) + ecal_cell(3, 2)


def ecal_with(value: float) -> np.ndarray:
    cells = ecal_cell(3, 3)
    cells[0, 0, 0] = value
    return cells


# (event, cut that rejects it in S1, cut that rejects it in S2)
NEITHER = "hcal"  # what stops a good S2 event in S1, and a good S1 event in S2
PLANTED = [
    (event(), NEITHER, "pass"),
    (s1_event(), "pass", NEITHER),
    # trigger
    (event(isPhysics=False), "trigger", "trigger"),
    (event(isTriggerPhysics=False, isTriggerBeam=True), "trigger", "trigger"),
    (event(isOnSpill=False), "trigger", "trigger"),
    (event(isCalibration=True), "trigger", "trigger"),
    (
        event(
            isCalibration=True,
            isPhysics=False,
            hcal0=NAN,
            hcal1=NAN,
            hcal2=NAN,
            HCAL_ene=np.full((4, 3, 3), NAN),
        ),
        "trigger",
        "trigger",
    ),
    # pile_up: total without time cut minus 20 GeV
    (event(ecalTotalNoTimecut=49.5), NEITHER, "pass"),
    (event(ecalTotalNoTimecut=50.0), "pile_up", "pile_up"),
    (event(ecalTotalNoTimecut=INF), "pile_up", "pile_up"),
    (event(ecalTotalNoTimecut=NAN), "pile_up", "pile_up"),
    (event(ecalTotal=NAN), "pile_up", "pile_up"),
    # straw
    (event(straw3X=5, straw3Y=5), NEITHER, "pass"),
    (event(straw3X=1, straw3Y=1), NEITHER, "pass"),
    (event(straw3X=0), "straw", "straw"),
    (event(straw3X=6), "straw", "straw"),
    (event(straw3Y=0), "straw", "straw"),
    (event(straw3Y=6), "straw", "straw"),
    # beam_cell
    (event(ECAL_ene=ecal_cell(3, 3, 0.1)), NEITHER, "pass"),
    (event(ECAL_ene=ecal_cell(3, 2)), "beam_cell", "beam_cell"),
    (event(ECAL_ene=ecal_cell(2, 3)), "beam_cell", "beam_cell"),
    (event(ECAL_ene=two_leading_cells()), "beam_cell", "beam_cell"),
    (event(ECAL_ene=np.zeros((2, 6, 6))), "beam_cell", "beam_cell"),
    (event(ECAL_ene=ecal_with(NAN)), "beam_cell", "beam_cell"),
    # srd: the fourth module is not used
    (event(SRD_ene=[0.0011, 0.079, 0.5, NAN]), NEITHER, "pass"),
    (event(SRD_ene=[0.001, 0.02, 0.02, 0.0]), "srd", "srd"),
    (event(SRD_ene=[0.02, 0.02, 0.0005, 0.0]), "srd", "srd"),
    (event(SRD_ene=[0.02, 0.08, 0.09, 0.0]), "srd", "srd"),
    (event(SRD_ene=[0.02, NAN, 0.02, 0.0]), "srd", "srd"),
    # momentum
    (event(trackMomentum=97.1), NEITHER, "pass"),
    (s1_event(trackMomentum=102.9), "pass", NEITHER),
    (event(trackMomentum=97.0), "momentum", "momentum"),
    (event(trackMomentum=103.0), "momentum", "momentum"),
    (event(trackMomentum=NAN), "momentum", "momentum"),
    # preshower
    (event(ecal0=0.41), NEITHER, "pass"),
    (event(ecal0=0.4), "preshower", "preshower"),
    (event(ecal0=NAN), "preshower", "preshower"),
    # ecal: 50 and 85 GeV
    (event(ecalTotal=49.9, ecalTotalNoTimecut=50.0), NEITHER, "pass"),
    (event(ecalTotal=50.0, ecalTotalNoTimecut=50.0), NEITHER, "ecal"),
    (s1_event(ecalTotal=84.9, ecalTotalNoTimecut=85.0), "pass", "ecal"),
    (s1_event(ecalTotal=85.0, ecalTotalNoTimecut=85.0), "ecal", "ecal"),
    # veto: a sum of 10 MeV; 1 and 9 MeV in one counter count as 9, 4 and 9 as 6
    (event(VETO_ene=[0.001, 0.009, 0, 0, 0, 0]), NEITHER, "pass"),
    (event(VETO_ene=[0.004, 0.009, 0.003, 0.003, 0, 0]), NEITHER, "pass"),
    (event(VETO_ene=[0.004, 0.009, 0.0045, 0.0045, 0, 0]), "veto", "veto"),
    (s1_event(VETO_ene=[0.001, 0.009, 0.001, 0.001, 0.001, 0.001]), "veto", "veto"),
    (s1_event(VETO_ene=[NAN, 0, 0, 0, 0, 0]), "veto", "veto"),
    # hcal; the zero-degree module is in neither
    (event(hcal0=0.3, hcal1=0.3, hcal2=0.39, hcal3=500.0), "hcal", "pass"),
    (event(hcal0=0.3, hcal1=0.3, hcal2=0.41), "hcal", "hcal"),
    (s1_event(hcal0=0.99), "pass", "hcal"),
    (s1_event(hcal0=1.0), "hcal", "hcal"),
    (s1_event(hcal1=15.1, hcal2=0.0), "pass", "hcal"),
    (s1_event(hcal1=8.0, hcal2=8.0), "pass", "hcal"),
    (s1_event(hcal1=15.0, hcal2=0.0), "hcal", "hcal"),
    (event(hcal0=NAN), "hcal", "hcal"),
    (event(hcal1=-INF), "hcal", "hcal"),
    (s1_event(hcal2=NAN), "hcal", "hcal"),
    # r: HCAL1 and the zero-degree module are not in it; in 2018 the core of HCAL3 has two cells
    (
        s1_event(HCAL_ene=hcal_cells({(1, 1, 1): 95.0, (1, 0, 0): 5.0, (0, 0, 0): 90.0, (3, 0, 0): 90.0})),
        "pass",
        NEITHER,
    ),
    (s1_event(HCAL_ene=hcal_cells({(1, 1, 1): 93.0, (1, 0, 0): 7.0})), "r", NEITHER),
    (s1_event(HCAL_ene=hcal_cells({(2, 1, 1): 10.0, (2, 2, 1): 10.0})), "pass", NEITHER),
    (s1_event(HCAL_ene=hcal_cells({(2, 1, 1): 10.0, (2, 1, 2): 10.0})), "r", NEITHER),
    (s1_event(HCAL_ene=hcal_cells({(1, 1, 1): 10.0, (1, 2, 1): 10.0})), "r", NEITHER),
    (s1_event(HCAL_ene=np.zeros((4, 3, 3))), "r", NEITHER),
    (s1_event(HCAL_ene=hcal_cells({(1, 1, 1): 1.0, (1, 0, 0): -2.0})), "r", NEITHER),
    (s1_event(HCAL_ene=hcal_cells({(1, 1, 1): 30.0, (2, 0, 0): NAN})), "r", NEITHER),
    (s1_event(run=2000, HCAL_ene=hcal_cells({(2, 1, 1): 10.0, (2, 2, 1): 10.0})), "r", NEITHER),
    # shower_chi2
    (event(showerChi2=9.9), NEITHER, "pass"),
    (event(showerChi2=10.0), NEITHER, "shower_chi2"),
    (s1_event(showerChi2=10.0), "shower_chi2", NEITHER),
    (s1_event(showerChi2=NAN), "shower_chi2", NEITHER),
    (event(showerChi2=INF), NEITHER, "shower_chi2"),
    # periods, first and last runs
    (event(run=0), NEITHER, "pass"),
    (event(run=2466), NEITHER, "pass"),
    (s1_event(run=2505), "pass", NEITHER),
    (s1_event(run=3465), "pass", NEITHER),
    (s1_event(run=3855), "pass", NEITHER),
    (event(run=4223), NEITHER, "pass"),
]
# Good events outside the periods: they enter no bin.
OUTSIDE = {
    "excluded: SRD displaced": [event(run=2484), s1_event(run=2504)],
    "excluded: visible mode 2017": [event(run=3466), s1_event(run=3560)],
    "excluded: early 2018 tests": [event(run=3561)],
    "excluded: visible mode 2018, 150 GeV": [event(run=4224), s1_event(run=4309), event(run=4300)],
    "no period": [event(run=2467), event(run=2483), s1_event(run=4310), event(run=999999)],
}


def period_of(run: int) -> str:
    return next(name for name, (first, last) in numpy_selection.PERIODS.items() if first <= run <= last)


def expected_flow() -> dict[tuple[str, str, str], int]:
    flow = {}
    for i, signature in enumerate(("S1", "S2")):
        cuts = numpy_selection.CUTS[signature]
        for period in numpy_selection.PERIODS:
            fates = [row[1 + i] for row in PLANTED if period_of(row[0]["run"]) == period]
            for position, cut in enumerate(["initial", *cuts]):
                rejected = set(cuts[:position])
                flow[period, signature, cut] = sum(fate not in rejected for fate in fates)
    return flow


def flow_of(result: selection.SelectionResult) -> dict[tuple[str, str, str], int]:
    periods = set(numpy_selection.PERIODS)
    return {(r.period, r.signature, r.cut): r.events for r in result.cutflow if r.period in periods}


def all_events() -> list[dict]:
    return [
        dict(e) for e in (*(row[0] for row in PLANTED), *(e for events in OUTSIDE.values() for e in events))
    ]


def near_thresholds(n: int, seed: int) -> list[dict]:
    """Events that pass or fail every cut by little, of both signatures and all periods."""
    random = np.random.default_rng(seed)
    events = []
    for i in range(n):
        signal = i % 2 == 0
        ecal = random.uniform(80.0, 90.0) if signal else random.uniform(46.0, 54.0)
        core = random.uniform(13.0, 17.0) if signal else random.uniform(0.3, 0.9)
        cells = np.zeros((2, 6, 6))
        cells[1, 3, 3], cells[1, 2, 3] = 0.5 * ecal, random.uniform(0.4, 0.51) * ecal
        hit = random.choice([0, 0, 0, 1])
        events.append(
            event(
                run=int(random.choice([2000, 3000, 4000, 4300])),
                spill=i // 50,
                spillevent=i + 2,
                ecalTotal=ecal,
                ecal0=random.uniform(0.38, 0.6),
                ecalTotalNoTimecut=ecal + random.uniform(0.0, 35.0),
                ECAL_ene=cells,
                hcal0=random.uniform(-0.1, 0.3) + 0.75 * hit,
                hcal1=core,
                hcal2=random.uniform(-0.1, 0.3),
                HCAL_ene=hcal_cells({(1, 1, 1): 15.0, (1, 0, 1): random.uniform(0.0, 1.2)}),
                trackMomentum=random.normal(100.0, 2.5),
                SRD_ene=np.append(random.uniform(0.0, 0.1, 3) ** 1.3 + 0.0009, 0.0),
                VETO_ene=random.uniform(-0.0002, 0.004, 6),
                showerChi2=random.uniform(1.0, 10.5),
            )
        )
    return events


def around_the_cuts(count: int) -> list[dict]:
    """Random events around the cuts, so that another value of an energy often is another count."""
    rng = np.random.default_rng(11)
    events = []
    for number in range(count):
        make = event if number % 2 else s1_event
        ecal = rng.uniform(10.0, 90.0)
        events.append(
            make(
                run=int(rng.choice([2000, 3000, 4000])),
                spillevent=number + 2,
                ecalTotal=ecal,
                ecalTotalNoTimecut=ecal + rng.exponential(20.0),
                hcal2=rng.exponential(0.5),
                trackMomentum=rng.normal(100.0, 2.0),
                SRD_ene=rng.uniform(0.0, 0.09, 4),
                VETO_ene=rng.exponential(0.002, 6),
                showerChi2=rng.exponential(6.0),
            )
        )
    return events
