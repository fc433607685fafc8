"""What the shell completes behind `na64root`: verbs and options by click; cards, their keys, planes here.

Installed by one line, docs/shell.md. Nothing here writes a file or starts ROOT.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

# Set by the script of the shell: what it wants, as bash_source or bash_complete.
VARIABLE = "_NA64ROOT_COMPLETE"


def answered(application: click.Command) -> bool:
    """Whether the shell asked for completions, or for its script; then the answer is on standard output."""
    instruction = os.environ.get(VARIABLE)
    if not instruction:
        return False
    shell, _, wanted = instruction.partition("_")
    if get_completion_class(shell) is None or wanted not in ("source", "complete"):
        click.echo(f"na64root: no completion for {instruction}: set {VARIABLE} to bash_source, zsh_source or "
                   "fish_source", err=True)  # fmt: skip
        return True
    shell_complete(application, {}, "na64root", VARIABLE, instruction)
    return True


def cards(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Cards that come with the package, and files."""
    from ..config import card_names

    found = [CompletionItem(name) for name in card_names() if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The keys that --set takes, of the card that --config names; one part of a name at a time."""
    from ..config import DEFAULT_CARD, load_card
    from ..errors import Na64Error

    if "=" in incomplete:
        return []
    try:
        values = load_card(context.params.get("config") or DEFAULT_CARD).settings()
    except Na64Error:
        return []
    found: dict[str, CompletionItem] = {}
    for key, value in _next_parts(values, incomplete):
        found.setdefault(key, CompletionItem(key, help=value))
    return list(found.values())


def _next_parts(values: Mapping[str, object], incomplete: str) -> Iterator[tuple[str, str | None]]:
    for key, value in values.items():
        if key.startswith(incomplete):
            rest = key[len(incomplete) :]
            if "." in rest:
                yield f"{incomplete}{rest.partition('.')[0]}.", None
            else:
                yield f"{key}=", str(value)


def planes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The planes of the paper, and behind one files."""
    from ..exclusion.grids import PLANES

    found = [CompletionItem(name) for name in PLANES if name.startswith(incomplete)]
    given = context.params.get("arguments") or ()
    return found if found and not given else [CompletionItem(incomplete, type="file")]


def cards_or_diff(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Cards, and `diff` as the first word."""
    given = context.params.get("arguments") or ()
    first = [CompletionItem("diff")] if not given and "diff".startswith(incomplete) else []
    return [*first, *cards(context, parameter, incomplete)]
