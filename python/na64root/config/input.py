"""How input files are read: mappings of other layouts, friend trees, good runs."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from .quantity import Model, Switch


def _branch_of_name(given: Any) -> Any:
    return {"branch": given} if isinstance(given, str) else given


class MappedBranch(Model):
    """Where a branch of layout A comes from in another tree: a branch, or a C++ expression of branches.

    Attributes:
        branch: its name; of an element of an array `name[3]`; of a friend tree `alias.name`.
        unit: of an energy or momentum; for any quantity a number, the factor to the unit of layout A.
        axes: of an array, the names of its axes as it is stored, the slowest first.
        shape: numbers of cells along `axes`, where they differ from layout A in the first axis of that.
        index: in place of `axes`, the place of each element of layout A in the stored array, -1 for none.
    """

    branch: str | None = None
    expression: str | None = None
    unit: Literal["GeV", "MeV", "keV"] | Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = "GeV"
    axes: list[str] | None = None
    shape: list[Annotated[int, Field(ge=1)]] | None = None
    index: list[Annotated[int, Field(ge=-1)]] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "MappedBranch":
        if (self.branch is None) == (self.expression is None):
            raise ValueError("either branch or expression is needed")
        if self.index is not None and (self.axes is not None or self.shape is not None):
            raise ValueError("index says it all: leave out axes and shape")
        return self


class FriendTree(Model):
    """A tree with more branches of the same events, in the same order; its branches are `alias.name`.

    Attributes:
        files: paths and globs, in the order of the input; {folder} and {stem} stand for those of each input
            file; without them the friend is in the input files.
    """

    tree: str
    alias: str = Field(pattern=r"[A-Za-z_]\w*")
    files: list[str] = []


class LayoutConfig(Model):
    """How a tree of another layout is read: `branches` by their names in layout A."""

    tree: str
    base: Literal["none", "A"] = "none"
    branches: dict[str, Annotated[MappedBranch, BeforeValidator(_branch_of_name)]] = {}
    friends: list[FriendTree] = []


class InputConfig(Model):
    """Which of the input is used: damaged files are an error or left out, runs are those of a list or all.

    Attributes:
        sentinels: by branch of layout A, the values that stand for "no value" in it: such an event fails
            every cut on that quantity.
    """

    skip_bad_files: Switch = "off"
    good_runs: str = ""
    sentinels: dict[str, Annotated[list[float], Field(min_length=1)]] = {}

    @model_serializer(mode="wrap")
    def _without_empty(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A card without sentinels keeps the checksum that it has had.
        values: dict[str, Any] = serialise(self)
        if not self.sentinels:
            values.pop("sentinels", None)
        return values
