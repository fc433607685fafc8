"""A HEPData submission of results: written beside and renamed, judged by HEPData's own validator before.

The folder and the archive hold the same files. `force` replaces what the former submission.yaml names, and
no file that it does not name.
"""

from __future__ import annotations

import gzip
import io
import logging
import shutil
import tarfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import exclusion, limits
from ..analyze import Analysis
from ..analyze.counts import likelihood_counts
from ..config import Card
from ..errors import ConfigError, DataError, Na64Error
from ..exclusion.planes import plane_of
from ..inputs import note, one_run
from ..limits import CountingModel
from ..limits.export import FORMATS, Exported, pyhf_specification
from ..records import (
    LimitReport,
    Provenance,
    Record,
    ResultsFolder,
    provenance,
    together,
    write_atomically,
)
from ..signal import card_counts
from ..work import Work
from .sources import MAP, Source, find
from .tables import Table, named_apart, nothing_observed, tables_of
from .yaml_files import LARGEST_BYTES, SUBMISSION, Resource, file_names, library, named_files, texts

log = logging.getLogger(__name__)

FOLDER, ARCHIVE = "hepdata", "hepdata.tar.gz"

# Of the likelihood, what a submission has: labels, and HEPData's names of the formats that it knows.
LIKELIHOODS: dict[str, tuple[str, str]] = {
    "pyhf": ("Likelihood, HistFactory JSON for pyhf", "HistFactory"),
    "hs3": ("Likelihood, HS3 JSON (HEP Statistics Serialization Standard)", "HS3"),
    "workspace": ("Likelihood, RooFit workspace `na64root` in a ROOT file", ""),
    "datacard": ("Likelihood, datacard of Combine", ""),
}

# What is made of a result that has no exported likelihood beside it.
MADE = ("pyhf", "hs3", "workspace")

NOTHING_OBSERVED = "Nothing is observed: the most probable counts without signal stand in."


class Submission(Record):
    """Result of :func:`submit`: the files by name, the tables, and what else belongs to the submission."""

    files: dict[str, str]
    tables: list[str]
    resources: list[Resource]
    blind: bool
    notes: list[str]
    provenance: Provenance


@dataclass(frozen=True)
class _File:
    """A resource, and what writes it."""

    resource: Resource
    write: Callable[[Path], object]


@one_run()
@together()
def submit(
    paths: Sequence[str | Path], card: Card, results: ResultsFolder, *, work: Work = Work()
) -> Submission:
    """Write `hepdata/submission.yaml` with what it names, and the same as `hepdata.tar.gz`, into `results`.

    Args:
        paths: results of `analyze`, `scan`, `limit`, `acceptance`, `export` and efficiency maps: their
            JSON or their folders. Without, the card's own limit and plane are computed.
        card: of the results, for the qualifiers; a card of the package is found by itself.

    Raises:
        DataError: no results there, or not readable.
        ConfigError: a result whose card is not at hand; blinded results beside others; a plane with an axis
            that has no name.
        Na64Error: PyYAML or hepdata-validator are not installed; files exist that are not to be replaced.
    """
    library()
    validate = _validator()
    sources = find(paths, card)
    folder = ResultsFolder(results.path / FOLDER, results.force)
    # Before anything long is computed; the names of tables are checked again when they are known.
    results.require([ARCHIVE])
    folder.require([SUBMISSION])
    notes: list[str] = []
    files: list[_File] = []
    if not sources:
        sources, model = _of_card(card, work)
        files += _likelihood(model, "", notes)
    files += _resources(sources, notes, work)
    tables = named_apart(table for source in sources for table in tables_of(source))
    if not tables:
        raise ConfigError("no result has a number to publish (all are empty): give others")
    blind = any(source.blind for source in sources)
    if blind:
        notes.append("blinded: events in the signal boxes are in no table and no file")
    made = provenance(sources[0].card, seed=work.seed)
    written = _write(tables, files, _comment(made, notes), folder, results, validate)
    if kept := results.remember("export", blind=blind, provenance=made):
        written[kept.name] = str(kept)
    for line in notes:
        log.info("%s", line)
    return Submission(
        files=written,
        tables=[table.name for table in tables],
        resources=[file.resource for file in files],
        blind=blind,
        notes=notes,
        provenance=made,
    )


def _comment(made: Provenance, notes: Iterable[str]) -> str:
    return " ".join(
        [
            f"Results of na64root {made.na64root}, an independent re-implementation of the search of NA64 "
            "for semi-visible dark photons, Eur. Phys. J. C 81, 959 (2021).",
            *(f"{line[0].upper()}{line[1:]}." for line in notes),
        ]
    )


def _of_card(card: Card, work: Work) -> tuple[list[Source], CountingModel]:
    """Plane and limit of the card's own counts, as `scan` and `limit` tell them, and their model."""
    exposure = card.exposure()
    point = exclusion.Exclusion(card, card_counts(card, exposure), exposure, expected=True, work=work)
    plane = plane_of(point, "mass-epsilon", work=work)
    model, _ = exclusion.model_on_g2_line(point, plane.g2_excluded_up_to_GeV)
    cl, treatment = card.limit.confidence_level.value, card.limit.treatment
    limit = limits.upper_limit(model, cl=cl, treatment=treatment, work=work)
    made = provenance(card, seed=work.seed, limit_method=f"exact, {treatment}")
    path = Path(card.card.name)
    report = LimitReport(**dict(limit), provenance=made)
    return [Source(path, "scan", plane, False, card), Source(path, "limit", report, False, card)], model


def _resources(sources: Sequence[Source], notes: list[str], work: Work) -> list[_File]:
    """Likelihoods and efficiency maps: the files of an export, or made of an analysis."""
    files: list[_File] = []
    exported = [source for source in sources if isinstance(source.record, Exported)]
    for number, source in enumerate(exported, 1):
        files += _of_export(source, "" if number == 1 else f"_{number}")
    if not exported:
        analyses = [source for source in sources if isinstance(source.record, Analysis)]
        for number, source in enumerate(analyses, 1):
            model = _model_of(source, notes, work)
            if model is not None:
                files += _likelihood(
                    model,
                    "" if number == 1 else f"_{number}",
                    notes,
                    observed=source.record.limit.kind == "observed",
                )
    maps = [source for source in sources if source.kind == MAP]
    for number, source in enumerate(maps, 1):
        name = "efficiency_map.json" if number == 1 else f"efficiency_map_{number}.json"
        resource = Resource(description="Efficiency map, JSON of na64root", location=name)
        files.append(_copied(resource, source.path))
    return files


def _of_export(source: Source, ending: str) -> list[_File]:
    files = []
    for form, (label, kind) in LIKELIHOODS.items():
        if form in source.record.files:
            name = Path(FORMATS[form][0])
            path = source.path.parent / name
            if not path.is_file():
                raise DataError(
                    f"{source.path} names {name}, which is not beside it (moved?): put it "
                    "there, or export again"
                )
            if path.stat().st_size > LARGEST_BYTES:
                raise DataError(f"{path} is larger than 100 MB (HEPData takes no such file): leave it out")
            if nothing_observed(source.record):
                label += f". {NOTHING_OBSERVED}"
            resource = Resource(description=label, location=f"{name.stem}{ending}{name.suffix}", type=kind)
            files.append(_copied(resource, path))
    return files


def _copied(resource: Resource, path: Path) -> _File:
    note(path)
    return _File(resource, lambda place: shutil.copyfile(path, place))


def _model_of(source: Source, notes: list[str], work: Work) -> CountingModel | None:
    """The counting model of the limit of an analysis, made again from its record; None where it cannot be."""
    record, card = source.record, source.card
    if record.limit is None:
        return None
    counts = likelihood_counts(
        record.counts, record.exposure, nothing_observed=record.limit.kind == "expected"
    )
    if record.signal is not None:
        return exclusion.counting_model_of_sample(card, counts, record.exposure, record.signal.sample)
    if card.signal.acceptance != "chain":
        notes.append(
            f"the likelihood of {source.path} is left out (its signal was simulated): give the folder of "
            "`na64root export` beside it"
        )
        return None
    mode = record.exclusion.mode
    if mode == "invisible":  # as the analysis had it: A' to invisible are S2 alone
        counts = [count for count in counts if count.signature == "S2"]
    point = exclusion.Exclusion(card, counts, record.exposure, mode=mode, work=work)
    return exclusion.model_on_g2_line(point, record.g2_excluded_up_to_GeV)[0]


def _likelihood(model: CountingModel, ending: str, notes: list[str], *, observed: bool = True) -> list[_File]:
    """The model in those of the formats :data:`MADE` that can hold it."""
    files = []
    for form in MADE:
        label, kind = LIKELIHOODS[form]
        name, write = Path(FORMATS[form][0]), FORMATS[form][1]
        if not observed:
            label += f". {NOTHING_OBSERVED}"
        resource = Resource(description=label, location=f"{name.stem}{ending}{name.suffix}", type=kind)
        if form == "pyhf":
            try:
                pyhf_specification(model)
            except ConfigError as error:
                notes.append(f"no pyhf file ({error})")
                continue
        comment = "" if observed else NOTHING_OBSERVED

        def written(path: Path, write: Callable[..., None] = write, comment: str = comment) -> None:
            write(model, path, comment)

        files.append(_File(resource, written))
    return files


def _write(
    tables: Sequence[Table],
    files: Sequence[_File],
    comment: str,
    folder: ResultsFolder,
    results: ResultsFolder,
    validate: Callable[[Path], None],
) -> dict[str, str]:
    """All files of the submission, together or not at all; where each is, by name."""
    names = [SUBMISSION, *file_names(tables), *(file.resource.location for file in files)]
    former = _former(folder)
    for name in names:
        place = folder.path / name
        if folder.force and name not in former and place.exists():
            raise Na64Error(
                f"{place} is not of the submission that was there (it may be yours): move it, or choose "
                "another output"
            )
    folder.require([*names, *former])
    results.require([ARCHIVE])
    # What the former submission names and this one does not is made nowhere, and so removed.
    with folder.replacing(dict.fromkeys([*names, *former])) as made:
        for name, text in texts(tables, comment, [file.resource for file in files]).items():
            (made / name).write_text(text, "utf-8")
        for file in files:
            file.write(made / file.resource.location)
        validate(made)
        archive = _archive(made, names)
    write_atomically(results.path / ARCHIVE, lambda path: _fill(path, archive), force=results.force)
    return {f"{FOLDER}/{name}": str(folder.path / name) for name in names} | {
        ARCHIVE: str(results.path / ARCHIVE)
    }


def _former(folder: ResultsFolder) -> list[str]:
    """Files here that the submission.yaml which is here names, where it may be replaced."""
    if not folder.force:
        return []
    try:
        named = list(named_files((folder.path / SUBMISSION).read_bytes()))
    except OSError:
        return []
    return [name for name in named if (folder.path / name).is_file()]


def _archive(folder: Path, names: Iterable[str]) -> bytes:
    """The files of a folder as .tar.gz, the same bytes for the same files."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for name in names:
            content = (folder / name).read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _validator() -> Callable[[Path], None]:
    """HEPData's own judge of a folder.

    Raises:
        Na64Error: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports
            from hepdata_validator.full_submission_validator import FullSubmissionValidator
    except ImportError as error:
        raise Na64Error(f"HEPData needs its validator ({error}): pip install 'na64root[hepdata]'") from None

    def validate(folder: Path) -> None:
        judge = FullSubmissionValidator()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it leaves files open, and uses what is deprecated
            accepted = judge.validate(directory=str(folder))
        if not accepted:
            messages = [m.message for found in judge.get_messages().values() for m in found]
            raise Na64Error(
                f"HEPData refuses the submission ({'; '.join(messages)}): leave out the result that it is of"
            )

    return validate
