"""Which transport carries a job: as it says, or as this host has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.slurm.local import LocalTransport
from infra.slurm.sbatch import SbatchTransport
from infra.slurm.transport import SubmissionRefusedError
from infra.slurm.transports import choose_transport, open_transport

SBATCH = "/opt/slurm/bin/sbatch"


def auto(*files: str, has_sbatch: bool = True, **environment: str) -> str:
    return choose_transport("auto", lambda _: SBATCH if has_sbatch else None, environment, lambda path: path in files)


def test_auto_is_sbatch_where_it_has_a_cluster() -> None:
    """A laptop may have the package, and no cluster."""
    assert auto() == "local"
    assert auto("/etc/slurm/slurm.conf", has_sbatch=False) == "local"
    for path in ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf", "/run/slurm/conf/slurm.conf"):
        assert auto(path) == "sbatch"
    assert auto("/opt/slurm/etc/slurm.conf") == "sbatch"
    assert auto(SLURM_CONF_SERVER="head:6817") == "sbatch"
    assert auto(SLURM_CONF="/not/mounted/slurm.conf") == "sbatch", "a cluster's jobs do not run on its login node"
    assert auto(has_sbatch=False, SLURM_CONF="/x/slurm.conf") == "local"


def test_one_that_is_named_must_be_possible_here() -> None:
    assert choose_transport("local", lambda _: SBATCH) == "local"
    assert choose_transport("sbatch", lambda _: SBATCH) == "sbatch"
    assert choose_transport("slurmrestd", lambda _: None, {"PHASELINE_SLURMRESTD_URL": "unix:/x"}) == "slurmrestd"
    for name, words in [
        ("sbatch", "not on this worker's PATH"),
        ("slurmrestd", "PHASELINE_SLURMRESTD_URL is not in this worker's environment"),
        ("pigeon", "'pigeon'; there are: auto, local, sbatch, slurmrestd"),
        ("", "there are: auto, local"),
    ]:
        with pytest.raises(SubmissionRefusedError, match=words):
            choose_transport(name, lambda _: None, {})


def test_what_was_chosen_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASELINE_SLURMRESTD_URL", "unix:/nowhere")
    assert isinstance(open_transport("local", str(tmp_path)), LocalTransport)
    assert isinstance(open_transport("sbatch", str(tmp_path)), SbatchTransport)
    assert open_transport("slurmrestd", str(tmp_path)).name == "slurmrestd"
    with pytest.raises(ValueError, match="no transport is called 'auto'"):
        open_transport("auto", str(tmp_path))
