"""The verb on cards: card."""

from __future__ import annotations

import click

from ..config import DEFAULT_CARD, load_card
from ..errors import ConfigError
from ..records import Record
from . import completion, tables
from .verb import Common, application, verb


@verb(application, "card", example="na64root card diff paper2021 best", show=tables.show_card)
@click.argument("arguments", nargs=-1, metavar="[NAME | diff A B]", shell_complete=completion.cards_or_diff)
def _card(common: Common, arguments: tuple[str, ...]) -> Record:
    """Every value of a card with where it is from, and what differs between two.

    NAME is a built-in card or a file, paper2021 without; --set replaces values in it (of diff: in both).
    """
    from ..reports.cards import difference, listing

    if arguments[:1] == ("diff",):
        if len(arguments) != 3:
            raise ConfigError(f"{len(arguments) - 1} cards to compare (two are needed): write card diff A B")
        first, second = (load_card(name, common.overrides) for name in arguments[1:])
        return difference(first, second)
    if len(arguments) > 1 or (arguments and common.config != DEFAULT_CARD):
        raise ConfigError("more than one card (one is shown): name one, or write card diff A B")
    return listing(load_card(arguments[0] if arguments else common.config, common.overrides))
