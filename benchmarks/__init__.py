"""Benchmarks: what the engine costs, as ratios to what the same work costs without it.

`python -m benchmarks` (`make bench`) measures all of them and writes results.json; a module for each.
"""
