"""Where does everything stand?"""

from __future__ import annotations

from stages.engine import names
from stages.engine.layout import Passage, Root


def test_every_place_of_a_root() -> None:
    root = Root("/data")
    at = root.location("PHASE_4")
    attempt = names.Attempt("ds7", 2, "ab9c6d45")
    assert at.dataset("ds7") == "/data/PHASE_4/ds7"
    assert at.attempt(attempt) == "/data/PHASE_4/_work/ds7.2.ab9c6d45"
    assert f"{at.done}/{attempt.archived}" == "/data/PHASE_4/_done/ds7~ab9c6d45"
    assert at.directories == tuple(
        f"/data/PHASE_4{part}" for part in ("", "/_work", "/_done", "/_failed", "/_incoming", "/_trash")
    )
    assert root.directories == ("/data/_names", "/data/_sweep", "/data/_jobs")
    assert root.name("ds7+g2") == "/data/_names/ds7+g2"
    assert root.sightings("boot", "phase4") == "/data/_sweep/boot.phase4.json"
    assert root.protocol == "/data/_phaseline"


def test_nothing_of_the_engines_can_be_taken_for_a_dataset() -> None:
    root = Root("/data")
    places = [*root.directories, root.protocol, *root.location("A").directories[1:]]
    assert not any(names.is_candidate(place.rpartition("/")[2]) for place in places)
    assert Passage("first", root.location("A"), root.location("B")).writes.path == "/data/B"
