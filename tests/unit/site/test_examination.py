"""Does an examination find what is wrong with a site, from its deployments to a node, and leave nothing behind?"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from infra.site.examination import Site, examine
from infra.site.finding import Finding, Verdict
from infra.site.wishes import WishError, read_wishes
from stages.engine.cli import main
from tests.contract import fake_slurm
from tests.unit.chain import Chain

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAM = """\
import os, sys
said = sys.argv[1:]
if said == ["--version"]: print("slurm-wlm 22.05.8"); sys.exit()
if said == ["ping"]: print("Slurmctld(primary) at vm is UP"); sys.exit()
if said == ["show", "config"]: print(open({config!r}).read()); sys.exit()
if said == ["--test-only"]:
    if "qos=nope" in sys.stdin.read(): sys.exit("sbatch: error: Invalid qos specification")
    print("sbatch: Job 5 to start at noon in partition cpu", file=sys.stderr); sys.exit()
os.execv({real!r}, [{real!r}, *said])
"""
CONFIG = "ClusterName = mini\nKillWait = 30 sec\nMinJobAge = 300 sec\nSLURM_VERSION = 22.05.8\n"
SINFO = "cpu*|up|infinite|8|8000|(null)|2|idle\\ngpu|up|1:00:00|8|8000|gpu:2|1|idle\\n"


@dataclass
class Ground:
    """A clone with deployments, a root, and a SLURM of programs on PATH."""

    top: Path
    deployments: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    def __post_init__(self) -> None:
        self.chain = Chain(self.top)
        self.clone = self.top / "clone"
        (self.clone / "work-pools").mkdir(parents=True)
        for name in ("pools.toml", "control.json", "slurm-cpu.json", "slurm-gpu.json"):
            (self.clone / "work-pools" / name).write_text((CHECKOUT / "work-pools" / name).read_text())

    def deploy(self, name: str, pool: str = "slurm-cpu", **variables: object) -> None:
        """Add a deployment; its pollers are this installation's, if it says nothing else."""
        said = {"command": [str(Path(sys.executable).parent / "phaseline"), "poll", name], **variables}
        self.deployments.append({"name": name, "work_pool": {"name": pool, "job_variables": said}})
        (self.clone / "prefect.yaml").write_text(yaml.safe_dump({"deployments": self.deployments}))

    def examine(self, wait_seconds: float = 60.0) -> list[Finding]:
        """Examine, and say what is not well in lines."""
        return list(examine(Site(root=self.chain.root.path, clone=self.clone, wait_seconds=wait_seconds)))

    def left(self) -> list[str]:
        """What an examination has left in the root."""
        return os.listdir(Path(self.chain.root.path, "_jobs"))


def lines(found: list[Finding]) -> list[str]:
    return [one.line for one in found if one.verdict is not Verdict.OK]


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    found = Ground(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PHASELINE_", "SLURM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PHASELINE_ROOT", found.chain.root.path)
    monkeypatch.setenv("PHASELINE_STAGES", str(found.chain.stages))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return found


@pytest.fixture
def slurm(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The programs; its file `slots` says how many jobs run at once."""
    state = ground.top / "slurm"
    programs = fake_slurm.install(state, slots=4)
    config = state / "slurm.conf"
    config.write_text(CONFIG)
    for name in ("sbatch", "scontrol"):
        real = programs / f"{name}.real"
        (programs / name).rename(real)
        said = programs / f"{name}.py"
        said.write_text(PROGRAM.format(real=str(real), config=str(config)))
        words = shlex.join([sys.executable, "-I", "-S", str(said)])
        (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "sinfo").write_text(f"#!/bin/sh\nprintf '{SINFO}'\n")
    (programs / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", str(config))
    yield state
    assert [job for job in fake_slurm.Cluster(state).jobs() if job["state"] == "RUNNING"] == []


def test_a_site_on_which_all_is_well(ground: Ground, slurm: Path) -> None:
    ground.deploy("first")
    ground.deploy("second")
    ground.deploy("third", "slurm-gpu", partition="gpu", time_limit_minutes=60)
    ground.deploy("sweep", "control")
    found = ground.examine()
    assert [line for line in lines(found) if "is shown none" not in line] == []
    said = [one.line for one in found]
    assert "ok       poll/first poll/second: Job 5 to start at noon in partition cpu" in said
    assert sum(line.endswith("things that the protocol needs of the root were tried out") for line in said) == 2
    assert ground.left() == []


def test_what_the_deployments_ask_in_vain_is_said_with_what_to_change(
    ground: Ground, slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.deploy("first", partition="nope")
    ground.deploy("second", partition="gpu", time_limit_minutes=240)
    ground.deploy("third", cpus=9)
    ground.deploy("fourth", qos="nope")
    ground.deploy("fifth", cpu=1)
    ground.deploy("sixth", image="phaseline-sixth", container_runtime="charliecloud")
    monkeypatch.setenv("PHASELINE_IMAGES", str(ground.top))
    found = lines(ground.examine())
    assert any(line.startswith("fault    poll/sixth: there is no image 'phaseline-sixth'") for line in found)
    assert [line for line in found if line.startswith("fault    poll/") and "sixth" not in line] == [
        "fault    poll/fifth: job variable 'cpu' does not exist; did you mean 'cpus'? there are: "
        + next(line for line in found if "fifth" in line).partition("there are: ")[2],
        "fault    poll/first: there is no partition 'nope'. set partition to one of: cpu, gpu",
        ("fault    poll/second: it asks for 240 minutes, partition gpu gives 60. set time_limit_minutes to 60 or less"),
        ("fault    poll/third: no node of partition cpu has cpus 9 (most: 8). ask for less, or name another partition"),
        "fault    poll/fourth: Invalid qos specification. ask for what this account may have, or ask the site",
    ]
    assert ground.left() == []


def test_pollers_that_nodes_cannot_start_are_a_fault(ground: Ground, slurm: Path) -> None:
    ground.deploy("first", command=["/opt/elsewhere/phaseline", "poll", "first"])
    (found,) = lines(ground.examine())
    assert "`phaseline doctor` ends with 127" in found
    assert found.endswith("install phaseline where nodes see it (shared storage), or set image")


def test_no_node_within_the_time_is_a_warning_and_the_probe_is_taken_back(ground: Ground, slurm: Path) -> None:
    (slurm / "slots").write_text("0")
    ground.deploy("first")
    (found,) = lines(ground.examine(wait_seconds=1.0))
    assert found.startswith("warning  probe: no node for the probe in 1 s: Resources.")
    assert [job["state"] for job in fake_slurm.Cluster(slurm).jobs()] == ["CANCELLED"]


def test_a_probe_that_is_refused_says_why(ground: Ground, slurm: Path) -> None:
    (slurm / "refuse").write_text("sbatch: error: Batch job submission failed: Invalid account")
    ground.deploy("first")
    (found,) = lines(ground.examine())
    assert "the probe was refused: " in found
    assert ground.left() == []


def test_a_controller_that_is_away_is_a_fault_and_no_probe_is_waited_for(ground: Ground, slurm: Path) -> None:
    (slurm / "down").write_text("")
    ground.deploy("first")
    found = lines(ground.examine(wait_seconds=5.0))
    assert any(line.startswith("fault    probe: no probe could be sent: ") for line in found)


def test_without_slurm_the_probe_runs_here(ground: Ground) -> None:
    ground.deploy("first", transport="local")
    found = ground.examine()
    (said,) = lines(found)
    assert said.startswith("warning  transport: local: no SLURM is used")
    assert found[-1].line.endswith("things that the protocol needs of the root were tried out")
    assert ground.left() == []


def test_deployments_that_cannot_be_read_are_a_fault(ground: Ground) -> None:
    with pytest.raises(WishError):
        read_wishes(ground.clone)
    (fault,) = lines(ground.examine())
    assert fault.startswith("fault    deployments: ")
    (ground.clone / "prefect.yaml").write_text("deployments: 7")
    with pytest.raises(WishError):
        read_wishes(ground.clone)


@pytest.mark.usefixtures("ground")
def test_the_command_prints_a_line_for_each_check_and_a_summary(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the deployments of this very checkout: its command, by name, is not on this PATH."""
    words = ["--root", ground.chain.root.path, "--stages", str(ground.chain.stages), "doctor", "--site"]
    assert main([*words, "--wait-seconds", "60"]) == 78
    head, *said, summary = capsys.readouterr().out.splitlines()
    assert head.startswith("site examined 2")
    assert all(line.startswith(("ok ", "warning ", "fault ")) for line in said)
    faults = sum(line.startswith("fault ") for line in said)
    assert summary.startswith("summary: ")
    assert summary.endswith(f", {faults} fault")
    assert faults > 0
    assert main([*words, "--json"]) == 78
    facts = json.loads(capsys.readouterr().out)
    assert {one["verdict"] for one in facts["findings"]} >= {"ok", "fault"}
