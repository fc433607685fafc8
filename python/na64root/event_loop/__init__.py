"""The compiled event loop beside ROOT, and histograms as records.

`library` builds the shared library of cpp/rdf where it is used and keeps it in a cache; `compiled` books on
it as one books on RDataFrame; `expressions` are what both are given, with typed arguments; `words` keeps
branches that are named like words of C++ out of their text; `histograms` turns what was filled into records
and TH1. `last_words` are for where a process ends in C++.
"""
