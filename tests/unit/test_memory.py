"""Do sweeps that follow one another on a boot know what the last one saw, and do no harm to each other?"""

from __future__ import annotations

import errno

from stages.engine.memory import Memory
from stages.engine.sightings import Sighting, Sightings
from tests.unit.chain import Chain

SEEN = Sightings(attempts={"ds1.1.ab": Sighting(7, 10.0)}, reported={"quarantined": ["ds2"]})


def memory(chain: Chain, stage: str = "first", boot_id: str = "boot") -> Memory:
    return Memory(fs=chain.fs, clock=chain.clock, root=chain.root, stage=stage, boot_id=boot_id)


def test_what_is_kept_is_recalled_by_the_same_stage_and_boot(chain: Chain) -> None:
    memory(chain).keep(SEEN)
    assert memory(chain).recall() == SEEN
    assert memory(chain, stage="second").recall() == memory(chain, boot_id="another").recall() == Sightings()


def test_what_cannot_be_written_is_no_error(chain: Chain) -> None:
    chain.fs.fail("replace", "_sweep", errno.ENOSPC)
    memory(chain).keep(SEEN)
    assert memory(chain).recall() == Sightings()


def test_a_sweep_by_hand_keeps_what_was_reported(chain: Chain) -> None:
    """It reports to nobody but who typed it."""
    assert chain.phaseline("sweep", "first") == 0
    (path,) = chain.path("_sweep").iterdir()
    path.write_text(path.read_text().replace('"reported": {}', '"reported": {"quarantined": ["ds2"]}'))
    assert chain.phaseline("sweep", "first") == 0
    assert '"reported": {"quarantined": ["ds2"]}' in path.read_text()
