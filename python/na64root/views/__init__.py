"""Records for other libraries, by one call each: pandas, NumPy, hist (UHI), ROOT; and the picture of a plane.

`tables` are pandas and NumPy, `histograms` hist and ROOT, `pictures` what a notebook shows.
"""

from .histograms import bin_edges, to_hist, to_root
from .pictures import picture_of_plane
from .tables import to_numpy, to_pandas

__all__ = ["bin_edges", "picture_of_plane", "to_hist", "to_numpy", "to_pandas", "to_root"]
