"""Results of one verb in a folder: figures, tables and JSON, together or not at all.

`selection_report`, `plane_files`, `diagnostics` and `fits` write those of a selection, a plane, a limit and a
fit, `figured` those of verbs with one figure; `cards` says what is in a card, and what differs between two.
"""
