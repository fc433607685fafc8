"""Results as a record that others reuse: a HEPData submission, and its reader.

`sources` finds results and whose they are, blinded ones among them; `tables` are their numbers with units,
qualifiers and uncertainties; `yaml_files` is the format of HEPData, both ways; `hepdata` writes a submission.
"""

from .hepdata import ARCHIVE, FOLDER, Submission, submit
from .tables import Column, Qualifier, Table, Uncertainty
from .yaml_files import ReadSubmission, Resource, read

__all__ = [
    "ARCHIVE",
    "FOLDER",
    "Column",
    "Qualifier",
    "ReadSubmission",
    "Resource",
    "Submission",
    "Table",
    "Uncertainty",
    "read",
    "submit",
]
