"""Does `phaseline doctor` find a real cluster and its storage well, and a deployment that asks for too much?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.cluster.cluster import Cluster
from infra.containers.image import image_name
from infra.site import examination, sides
from infra.site.wishes import read_wishes
from stages.engine import catalog, roots
from stages.engine.layout import Root
from stages.engine.measurements import Report, decode
from stages.engine.meeting import Side
from stages.engine.places import new_place
from stages.engine.play import report_in
from stages.engine.posix import Posix
from stages.engine.probes import Verdict
from stages.engine.storage import judge
from tests.cluster.conftest import MakeSite
from tests.cluster.images import VERSIONS, Shelf
from tests.cluster.site import Site
from tests.cluster.test_containers import images
from tests.repository.checkout import BIN

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

__all__ = ["images"]

CHECKOUT = Path(__file__).resolve().parents[2]
SITE = ("--site", "--wait-seconds", "90")
STORAGE = ("--storage", "--from-nodes", "--rounds", "200", "--wait-seconds", "90")


def examine(site: Site, *words: str, **environment: str) -> tuple[int, list[str]]:
    """Examine with the deployments of this checkout; its exit code and what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASELINE_")}
    installed = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    typed = [sys.executable, "-m", "stages.engine", "doctor", *(words or SITE)]
    own = {**site.ground.environment, "PATH": installed, **environment}
    done = subprocess.run(typed, env=kept | own, cwd=CHECKOUT, capture_output=True, text=True, timeout=200, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def left(site: Site) -> list[str]:
    """What an examination has left in the root."""
    jobs = [name for name in os.listdir(site.ground.jobs) if name.startswith("doctor")]
    return [*jobs, *(name for name in os.listdir(site.ground.root) if name.startswith("."))]


def deploy(top: Path, *stages: str, **variables: str) -> Path:
    """Make a clone whose deployments are these stages'."""
    clone = top / "clone"
    shutil.copytree(CHECKOUT / "work-pools", clone / "work-pools")
    deployments = [
        {
            "name": stage,
            "work_pool": {
                "name": "slurm-cpu",
                "job_variables": {"command": ["phaseline", "poll", stage], "image": image_name(stage), **variables},
            },
        }
        for stage in stages
    ]
    (clone / "prefect.yaml").write_text(yaml.safe_dump({"deployments": deployments}))
    return clone


def nodes_of(said: str) -> set[str]:
    """Return the nodes that are named beside a process."""
    return set(re.findall(r"(\S+) pid \d+", said))


def test_a_cluster_that_is_well(make_site: MakeSite, own_cluster: Cluster) -> None:
    site = make_site(own_cluster)
    code, said = examine(site)
    assert [line for line in said[1:-1] if not line.startswith("ok ")] == []
    assert (code, said[-1].partition(": ")[0]) == (0, "summary")
    nodes = [line for line in said if line.endswith("things that the protocol needs of the root were tried out")]
    assert len(nodes) == 2, "a node with a GPU and one without"
    assert any("its clock agrees with this host's" in line for line in said)
    assert left(site) == []


def test_what_the_cluster_cannot_give(make_site: MakeSite, own_cluster: Cluster) -> None:
    """A grace that is longer than KillWait is a warning; a controller that is gone is a fault in time."""
    site = make_site(own_cluster)
    _, said = examine(site, PHASELINE_GRACE_SECONDS="20")
    assert any(line.startswith("warning  KillWait: a job has 3 s from TERM to KILL") for line in said)
    own_cluster.stop("slurmctld")
    code, said = examine(site)
    assert code == 78
    assert any(line.startswith("fault    controller: ") for line in said)
    code, said = examine(site, *STORAGE)
    assert (code, said[-1]) == (1, f"{site.ground.root}: not known")


def test_a_storage_is_tried_out_from_two_nodes(make_site: MakeSite, cluster: Cluster) -> None:
    """Both are this machine's, whose caches they share: that is said, and what is found are its own disk's merits."""
    site = make_site(cluster)
    code, said = examine(site, *STORAGE)
    (sides,) = [line for line in said if line.startswith("ok       two sides: ")]
    assert len(nodes_of(sides)) == 2, sides
    assert sum("one winner in each of 200 rounds" in line for line in said) == 3
    assert (code, [line for line in said if line.startswith("refused")]) == (0, [])
    assert said[-1].startswith(f"{site.ground.root}: good")
    assert left(site) == []


def test_a_partition_of_one_node_plays_both_sides_and_says_so(
    make_site: MakeSite, own_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(own_cluster)
    own_cluster.ask("scontrol", "create", "PartitionName=one", "Nodes=n2", "State=UP")
    for name, value in {**site.ground.environment, "PATH": f"{BIN}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    wishes = read_wishes(deploy(tmp_path, "phase2a", partition="one"))
    place = new_place(str(site.ground.root))
    assert sides.carry(str(site.ground.root), wishes, sides_in(place), 60.0) == ([sides.ONE_NODE], [])
    assert {nodes_of(report.who).pop() for report in reports_of(place)} == {"n2"}


def sides_in(place: str) -> list[list[str]]:
    """What the two jobs of a play are told."""
    play = ["doctor", "--storage", "--from-nodes", "--rounds", "100", "--wait-seconds", "90", "--play"]
    return [[*play, os.path.basename(place), side] for side in Side]


def reports_of(place: str) -> list[Report]:
    """What both sides have left; the place goes."""
    found = [decode(Path(report_in(place, side)).read_bytes()) for side in Side]
    shutil.rmtree(place)
    return found


def test_deployments_in_containers(
    make_site: MakeSite, cluster: Cluster, images: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a node the root is examined as the image sees it, by the image's own installation, which has the base only.

    Two of them play the two sides of the storage. An image that is not there is a fault.
    """
    site = make_site(cluster)
    root = str(site.ground.root)
    images.let_bind(site.ground.root)
    roots.make_directories(Posix(), Root(root), catalog.load(str(images.stages)).locations)
    environment = {
        **site.ground.environment,
        "PHASELINE_STAGES": str(images.stages),
        "PHASELINE_CONTAINER_RUNTIME": "charliecloud",
        "PHASELINE_IMAGES": str(Path(images.images["first"].place).parent),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    clone = deploy(tmp_path, *VERSIONS, "absent")
    said = [one.line for one in examination.examine(examination.Site(root=root, clone=clone, wait_seconds=90.0))]
    assert f"ok       containers: charliecloud, images in {environment['PHASELINE_IMAGES']}" in said
    assert [line.partition(": ")[0] for line in said if line.startswith("fault ")] == ["fault    poll/absent"]
    for image in images.images.values():
        assert sum(f", in {image.described}, " in line and "were tried out" in line for line in said) == 1, said
    assert any("container runtimes: " in line and "ch-run" in line for line in said)
    place = new_place(root)
    assert sides.carry(root, read_wishes(clone), sides_in(place), 90.0) == ([], [])
    played = reports_of(place)
    assert len({nodes_of(report.who).pop() for report in played}) == 2
    assert [one.verdict for one in judge(*played) if one.verdict is Verdict.REFUSED] == []
    assert left(site) == []
