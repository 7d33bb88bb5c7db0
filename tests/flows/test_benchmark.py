"""Does the benchmark of sweeps measure what it says? No time is asserted here."""

from __future__ import annotations

from benchmarks.place import taken
from benchmarks.sweep import compare


def test_a_sweep_of_more_datasets_asks_for_no_more(api_url: str) -> None:
    with taken(0.001) as place:
        found = {figure.name: figure for figure in compare(place, api_url)}
    assert found["mapped runs of a sweep"].value == 1 + 4
    assert found["mapped runs of a sweep, 100 waiting - 10"].value == 0
    assert found["requests of a sweep, 100 waiting - 10"].is_met
