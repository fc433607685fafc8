"""The former name of what is drawn over a plane; it lives in :mod:`na64root.theory`."""

from .theory.experiments import *
from .theory.overlays import *
from .theory.published import *
