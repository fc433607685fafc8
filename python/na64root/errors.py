"""The package's exceptions.

Each message reads "problem (why): what to do". Only :mod:`na64root.cli` turns one into a line on stderr and
exit code 2; anything else that escapes is a bug.
"""


class Na64Error(Exception):
    """Base of everything na64root raises on purpose."""


class ConfigError(Na64Error):
    """A card, an option or a parameter is not acceptable."""


class DataError(Na64Error):
    """An input file cannot be read or does not hold what is needed."""


class ConvergenceError(Na64Error):
    """A numerical method did not reach the precision asked for."""
