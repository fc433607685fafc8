"""The command line: `na64root VERB`, also `python -m na64root VERB`.

`program` runs it, `verb` makes verbs, `options` are those that verbs share; the verbs themselves are in
`data`, `simulation`, `limits`, `fits`, `planes`, `results`, `verdicts`, `publication` and `cards`, one file a
subject; `completion` is what shells complete; `tables` shows records to a person.
"""

from .program import main, run

__all__ = ["main", "run"]
