"""Types in annotations that many packages share."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], None]  # done, of how many
