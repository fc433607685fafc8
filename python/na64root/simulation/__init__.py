"""Simulated ntuples, and what the selection leaves of a simulated signal.

`core_config` turns the card into records of the C++ generators; `options` are what is wanted; `simulate`
makes signal, also of A' that `lhe` reads, background, pseudo-data and particle gun, written by `writer` and
`hepmc`; `sample` and `samples` select simulated signal as data and reweight it; `signal_files` reads samples
from files; `acceptance` and `efficiency_map` are the efficiencies.
"""
