"""Sections of what is computed: planes, acceptance, exposures, published numbers, assumptions."""

from __future__ import annotations

from collections.abc import Sequence

from .. import figures
from ..analyze import Scorecard
from ..config import Card
from ..exclusion.ledger import Ledger, Preset, PresetComparison, by_size, excluded, shown
from ..exclusion.planner import Plan
from ..records import CutFlowRow, PlaneResult
from ..reports.figured import exposure_figure
from ..reports.plane_files import title_of_plane
from ..simulation.acceptance import AcceptanceReport
from .blocks import BLINDED, Block, Cell, Section, Table, notes, percent, written
from .data import end_in_words
from .drawings import Draw

NAMES = {
    "mass": "m_A′ [GeV]",
    "mass1": "m_χ1 [GeV]",
    "m_chi": "m_χ1 [GeV]",
    "epsilon": "ε",
    "g": "g",
    "y": "y",
    "alpha": "α_D",
    "ratio": "m_A′/m_χ1",
    "splitting": "Δ/m_χ1",
}


TARGETS = {"g2": "the central g−2 line", "g2-band": "the g−2 band (2σ)", "relic": "the thermal relic line"}


def of_plane(record: PlaneResult, card: Card | None, draw: Draw) -> Section:
    """An exclusion plane: the excluded region, what is drawn over it, whose that is."""
    x_name, y_name = (NAMES.get(axis, axis) for axis in record.plane.split("-"))
    cl = record.confidence_level
    if cl is None and card is not None:
        cl = card.limit.confidence_level.value
    inside = sum(mu is not None and mu < 1.0 for row in record.upper_limit_mu for mu in row)
    points = len(record.x) * len(record.y)
    headline = [f"{inside} of {points} points of the plane of {x_name} and {y_name} are excluded."]
    if record.plane == "mass-epsilon":
        headline.insert(
            0,
            end_in_words(
                record.g2_excluded_up_to_GeV,
                record.blind,
                record.g2_end_is_frame,
                has_line="g-2 central" in record.overlays,
            ),
        )
    if record.blind:
        headline.insert(0, BLINDED)
    grid = Table(
        f"plane-{record.plane}",
        "Upper limit over expected signal: excluded below 1",
        (x_name, y_name, "limit / signal"),
        [
            (x, y, mu)
            for y, row in zip(record.y, record.upper_limit_mu, strict=True)
            for x, mu in zip(record.x, row, strict=True)
        ],
    )
    curves = Table(
        f"curves-{record.plane}",
        "Curves of the figure",
        ("curve", "part", x_name, y_name),
        [
            (name, part, *point)
            for name, lines in {
                "blinded" if record.blind else "observed": record.contours,
                **{f"expected {band}": lines for band, lines in record.expected_contours.items()},
                **{name: [overlay.contour] for name, overlay in record.overlays.items()},
            }.items()
            for part, line in enumerate(lines)
            for point in line
        ],
    )
    title = title_of_plane(record, card) if card is not None else ""
    blocks: list[Block] = [
        draw(
            "Excluded region" + (", expected" if record.blind else ""),
            f"The plane of {x_name} and {y_name}; the excluded region is filled. " + " ".join(headline),
            figures.exclusion_plane(record, title=title, cl=cl),
            curves,
        ),
        Table(
            f"counts-{record.plane}",
            "Counts that the limits are for"
            + (f" ({percent(cl)} CL)" if cl is not None else "")
            + (", the most probable ones without signal" if record.blind else ""),
            ("period", "signature", "stands in" if record.blind else "observed", "background", "uncertainty"),
            [
                (c.period, c.signature, c.observed, c.background, c.background_uncertainty)
                for c in record.counts
            ],
        ),
        grid,
    ]
    if record.overlays:
        blocks.append(
            Table(
                f"overlays-{record.plane}",
                "What is drawn over the plane, and whose it is",
                ("name", "kind", "source", "caveat"),
                [(name, o.kind, o.source, o.caveat) for name, o in record.overlays.items()],
            )
        )
    return Section(f"Plane of {x_name} and {y_name}", headline, [*blocks, *notes(record.notes)])


def of_acceptance(record: AcceptanceReport, draw: Draw) -> Section:
    """What the selection leaves of a simulated signal."""
    headline = [
        f"{s.signature} expects {s.expected:.4g} ± {s.error:.2g} events of A′ with {record.mass_GeV:g} "
        "GeV and ε = "
        f"{record.epsilon:g}: {100 * s.acceptance:.3g} % of those produced."
        for s in record.signatures
    ]
    rows: list[tuple[Cell, ...]] = [
        (s.signature, c.cut, c.events, c.expected, c.error, c.effective_events)
        for s in record.signatures
        for c in s.cut_flow
    ]
    table = Table(
        "acceptance-cut-flow",
        "Signal left after each cut",
        ("signature", "cut", "simulated events", "expected events", "its error", "effective events"),
        rows,
    )
    flow = [
        CutFlowRow(period="signal", signature=s.signature, cut=c.cut, events=c.events, weighted=c.expected)
        for s in record.signatures
        for c in s.cut_flow
    ]
    blocks: list[Block] = [
        draw(
            "Signal after each cut",
            "Bars of the expected signal events left after each cut, S1 beside S2. " + " ".join(headline),
            figures.cut_flow(flow),
            table,
        ),
        table,
        Table(
            "decays",
            "Where χ2 decays, as shares of all",
            ("place", "simulated", "by the semi-analytic chain"),
            [(k, v, (record.decays_semi_analytic or {}).get(k)) for k, v in record.decays.items()],
        ),
    ]
    if record.r_report is not None:
        blocks.append(
            Table(
                "r-report",
                "What each cause takes by the cut on R (the paper: "
                f"{record.r_report.paper_average:g} on average, {record.r_report.paper_lowest:g} at least)",
                ("switched off", "efficiency of R", "its error", "expected before"),
                [(c.description, c.efficiency, c.error, c.before) for c in record.r_report.causes],
            )
        )
    if record.best_r_cut is not None:
        best = record.best_r_cut
        headline.append(
            f"The best cut is R < {best.best:g}, which gains {100 * best.gain:+.1f} ± "
            f"{100 * best.gain_error:.1f} % in sensitivity over R < {best.r_max:g}."
        )
        cuts = Table(
            "best-r-cut",
            "Cuts on R",
            ("R below", "signal efficiency", "its error", "background [events]", "error", "sensitivity",
             "error "),
            [
                (p.r_max, p.signal_efficiency, p.signal_efficiency_error, p.background, p.background_error,
                 p.sensitivity, p.sensitivity_error)
                for p in best.cuts
            ],
        )  # fmt: skip
        alternative = (
            "Signal efficiency, background and sensitivity against the cut on R, one below the other."
        )
        blocks.append(draw("The cut on R", alternative, figures.r_cut([best]), cuts))
    return Section("Acceptance of the signal", headline, blocks)


def of_plan(record: Plan, card: Card | None, draw: Draw) -> Section:
    """Electrons on target that it takes."""
    known = [x for c in (*record.by_hcal1_length, *record.by_beam_energy) for x in c.eot_zero_events if x]
    what = TARGETS[record.target]
    headline = [
        f"To exclude {what} at {percent(record.confidence_level)} CL it takes "
        + (
            f"from {min(known):.2g} electrons on target on where it is easiest; the card has "
            f"{record.card_eot:.3g}."
            if known
            else f"more than {record.largest_eot:.3g} electrons on target in every setup."
        )
    ]
    rows: list[tuple[Cell, ...]] = [
        (c.hcal1_length_cm, c.beam_energy_GeV, mass, zero, median)
        for c in (*record.by_hcal1_length, *record.by_beam_energy)
        for mass, zero, median in zip(record.mass_GeV, c.eot_zero_events, c.eot_median, strict=True)
    ]
    table = Table(
        "exposures",
        f"Electrons on target needed; none up to {record.largest_eot:.3g} where there is no number",
        ("HCAL1 [cm]", "beam [GeV]", "m_A′ [GeV]", "with no event seen", "by the expected median"),
        rows,
    )
    blocks: list[Block] = []
    if card is not None:
        blocks.append(
            draw(
                "Electrons on target needed",
                "Curves of the exposure against mass, on logarithmic axes, one for each length of HCAL1 "
                "and for "
                "each beam energy. " + headline[0],
                exposure_figure(record, card),
                table,
            )
        )
    blocks += [
        table,
        Table(
            "sensitivity",
            "With the exposure and the counts of the card",
            ("beam [GeV]", "g−2 line excluded up to [GeV]", "least ε at 10 MeV", "at 100 MeV"),
            [
                (s.beam_energy_GeV, s.answers.end_point_GeV, s.answers.lower_edge_10MeV,
                 s.answers.lower_edge_100MeV)
                for s in record.sensitivity
            ],
        ),
        *notes([f"Scaled: {'; '.join(record.scaled)}.", f"Kept: {'; '.join(record.kept)}."]),
    ]  # fmt: skip
    return Section(f"Exposure to reach {what}", headline, blocks)


def of_scorecard(record: Scorecard, draw: Draw) -> Section:
    """Published numbers beside those computed here."""
    within = sum(score.within for score in record.scores)
    table = Table(
        "scorecard",
        "Published numbers and curves beside those computed here",
        ("what", "published", "here", "ratio", "median |dex|", "largest |dex|", "tolerance", "met", "reason",
         "source"),
        [
            (s.name, s.published, s.computed, s.ratio, s.median_dex, s.max_dex, s.tolerance,
             "within" if s.within else "misses", s.reason, s.source)
            for s in record.scores
        ],
    )  # fmt: skip
    known = [(s.name, s.ratio, s.within) for s in record.scores if s.ratio is not None]
    return Section(
        "Published numbers beside ours",
        [f"{within} of {len(record.scores)} comparisons are within tolerances that were fixed in advance."],
        [
            draw(
                "Ratios to what is published",
                "The ratio of each number computed here to the published one, a point each; one is "
                "agreement. " + "; ".join(f"{name} {ratio:.3g}" for name, ratio, _ in known) + ".",
                figures.ratios(known),
                table,
            ),
            table,
        ],
    )


def of_ledger(record: Ledger | PresetComparison, draw: Draw) -> Section:
    """What each assumed number moves, and other choices beside each other."""
    if isinstance(record, PresetComparison):
        return Section("Choices beside each other", [], [_presets(record.presets)])
    rows = by_size(record.rows)
    moving = [row for row in rows if row.end_point_shift_GeV]
    end = record.answers.end_point_GeV
    headline = [end_in_words(end)]
    if moving:
        most = moving[0]
        headline.append(
            f"Of the assumptions {most.name} moves this most: by {most.end_point_shift_GeV:+.4f} GeV "
            "when it goes "
            f"from {written(most.card_value)} to {written(most.varied_to)}."
        )
    table = Table(
        "ledger",
        "What each assumption moves, one at a time",
        ("number or choice", "from", "to", "end point [GeV]", "shift [GeV]", "edge at 10 MeV", "at 100 MeV",
         "why so much"),
        [
            (row.name, written(row.card_value), written(row.varied_to), *shown(row),
             row.refused or row.reason)
            for row in rows
        ],
    )  # fmt: skip
    blocks: list[Block] = []
    if moving:
        bars = [
            (f"{r.name}: {written(r.card_value)} to {written(r.varied_to)}", r.end_point_shift_GeV or 0.0)
            for r in moving[:15]
        ]
        blocks.append(
            draw(
                "What moves the end point most",
                "Bars of the shift of the end of the excluded g−2 line, the largest on top. " + headline[-1],
                figures.shifts(bars),
                table,
            )
        )
    blocks += [table, _presets(record.presets)]
    return Section("What the assumptions move", headline, blocks)


def _presets(presets: Sequence[Preset]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in presets[0].choices if presets else ():
        rows.append((name, *(preset.choices[name] for preset in presets)))
    ends = ("–" if p.end_point_GeV is None else f"{p.end_point_GeV:.3f}" for p in presets)
    rows.append(("end point [GeV]", *ends))
    for i, mass in enumerate(presets[0].mass_GeV if presets else ()):
        rows.append((f"ε excluded at {1e3 * mass:g} MeV", *(excluded(p, i) for p in presets)))
    return Table("presets", "Cards with other choices", ("", *(p.card for p in presets)), rows)
