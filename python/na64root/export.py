"""The former name of :mod:`na64root.limits.export`."""

from .limits.export import *
