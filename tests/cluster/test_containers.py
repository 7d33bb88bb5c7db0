"""Pollers in images, as SLURM jobs: does the same happen as without one, with all of the image and nothing else?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.cluster.cluster import Cluster
from infra.containers.runtime import Runtime
from infra.slurm.contained import contained
from infra.slurm.job import JobSpec
from infra.slurm.runs import RunState
from stages.engine import catalog, roots
from stages.engine.layout import Root
from stages.engine.posix import Posix
from tests.cluster.conftest import MakeSite
from tests.cluster.images import VERSIONS, Shelf, shelf
from tests.cluster.site import Site
from tests.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

# Debian has no package of apptainer for every release: it is tried where it is.
RUNTIMES = [Runtime.CHARLIECLOUD, Runtime.PODMAN, *([Runtime.APPTAINER] if shutil.which("apptainer") else [])]
HOSTILE = {"HOSTILE": "$(touch /tmp/harm) `id` '\"\\ \n second line", "EMPTY": ""}
TELLS = """
import json, os
print(json.dumps({"environment": dict(os.environ), "cwd": os.getcwd(), "top": sorted(os.listdir("/"))}))
"""
LISTENS = """
import os, signal, time
told = []
def heard(number, frame):
    os.write(1, b"heard %d\\n" % number)
    told.append(number)
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, heard)
print("listens", flush=True)
while signal.SIGTERM not in told:
    time.sleep(0.05)
time.sleep(0.5)  # for a second one
"""


@pytest.fixture
def images(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Built once for all who test at this moment."""
    top = tmp_path_factory.getbasetemp()
    return shelf(top.parent if os.environ.get("PYTEST_XDIST_WORKER") else top)


@pytest.fixture
def podman() -> Generator[dict[str, str]]:
    """What podman is told here: what it keeps is this test's own; runc, as crun wants no hybrid cgroups."""
    place = tempfile.mkdtemp(prefix="phaseline-podman-", dir="/tmp")
    said = {
        "containers.conf": '[engine]\nruntime = "runc"\n'
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=2000:2000"]\n',
        "storage.conf": f'[storage]\ndriver = "vfs"\ngraphroot = "{place}/graph"\nrunroot = "{place}/run"\n'
        f'rootless_storage_path = "{place}/graph"\n',
    }
    for name, text in said.items():
        Path(place, name).write_text(text)
    told = {
        "CONTAINERS_CONF": f"{place}/containers.conf",
        "CONTAINERS_STORAGE_CONF": f"{place}/storage.conf",
        "XDG_RUNTIME_DIR": place,
        "HOME": place,
    }
    yield told
    for words in (["rm", "--all", "--force"], ["system", "migrate"]):  # and the process that keeps its namespace
        subprocess.run(["podman", *words], env={**os.environ, **told}, capture_output=True, check=False)
    shutil.rmtree(place, ignore_errors=True)


def ask(site: Site, images: Shelf, runtime: Runtime, run: str, stage: str, *command: str, **environment: str) -> None:
    """Hand in what the worker would: the command in the stage's image, with nothing bound but root and job."""
    images.let_bind(site.ground.root)
    told = {name: value for name, value in site.ground.environment.items() if name != "PHASELINE_STAGES"}
    directory = f"{site.ground.jobs}/{run}.0"
    spec = JobSpec(
        tag=f"{run}.0",
        name=run,
        directory=directory,
        command=command,
        working_directory=directory,
        environment={**told, **environment},
    )
    wrapped = contained(spec, runtime, images.images[stage], ())
    site.ask(run, *wrapped.command, environment=wrapped.environment)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_stages_that_contradict_each_other_run_side_by_side(
    make_site: MakeSite, cluster: Cluster, images: Shelf, podman: dict[str, str], runtime: Runtime
) -> None:
    """Each image holds its stage, its version of the library, the base install and no Prefect; manifests name it."""
    site = make_site(cluster)
    root = site.ground.root
    roots.make_directories(Posix(), Root(str(root)), catalog.load(str(images.stages)).locations)
    for stage in VERSIONS:
        ask(site, images, runtime, stage, stage, "phaseline", "poll", stage, **podman)
    for stage in VERSIONS:
        site.wait(stage, RunState.RUNNING)
    site.ground.add(1)
    result = root / "RESULTS" / "ds0"
    wait_until(result.is_dir, 60, lambda: "; ".join(map(site.told, VERSIONS)))
    for stage in VERSIONS:
        assert "exit code 0" in site.wait(stage, RunState.COMPLETED)
    for stage, version in VERSIONS.items():
        said = (result / f"{stage}.txt").read_text().splitlines()
        assert said[0] == f"six {version}"
        assert "phaseline" in said
        assert [line for line in said if line.lower().startswith(("prefect", "fastapi"))] == []
    manifest = json.loads((result / "manifest.json").read_text())
    assert manifest["image"] == images.images["second"].described
    assert manifest["job"].partition(".")[0] == site.job("second")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_a_command_sees(
    make_site: MakeSite, cluster: Cluster, images: Shelf, podman: dict[str, str], runtime: Runtime
) -> None:
    site = make_site(cluster)
    ask(site, images, runtime, "tells", "first", "python3", "-c", TELLS, **HOSTILE, **podman)
    site.wait("tells", RunState.COMPLETED)
    [line] = [line for line in site.printed("tells") if line.startswith("{")]
    said = json.loads(line)
    environment = said["environment"]
    assert {name: environment[name] for name in HOSTILE} == HOSTILE
    assert environment["SLURM_JOB_ID"] == site.job("tells")
    assert environment["PHASELINE_IMAGE"] == images.images["first"].described
    assert environment["PHASELINE_STAGES"] == "/opt/phaseline/stages"
    assert said["cwd"] == str(site.directory("tells"))
    passed = {name for name in environment if name.startswith(("SLURM", "PHASELINE", "CUDA"))}
    assert passed <= {
        "SLURM_JOB_ID",
        "SLURM_CPUS_PER_TASK",
        "SLURMD_NODENAME",
        "PHASELINE_STAGES",
        "PHASELINE_ENDS_AT",
    } | {
        *site.ground.environment,
        "PHASELINE_IMAGE",
    }
    assert not {"SLURM_CONF", "VIRTUAL_ENV", "PYTHONPATH", "SLURM_NODELIST"} & environment.keys()
    assert not os.path.exists("/tmp/harm")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_signals_reach_the_command_and_its_end_comes_out(
    make_site: MakeSite, cluster: Cluster, images: Shelf, podman: dict[str, str], runtime: Runtime
) -> None:
    site = make_site(cluster)
    for run, command in {"fails": "exit 7", "dies": "kill -SEGV $$", "missing": "no-such-program"}.items():
        ask(site, images, runtime, run, "first", "sh", "-c", command, **podman)
    ask(site, images, runtime, "listens", "first", "python3", "-c", LISTENS, **podman)
    wait_until(lambda: "listens" in site.lines("listens"), 60, lambda: site.told("listens"))
    cluster.ask("scancel", "--batch", "--signal=USR1", site.job("listens"))
    wait_until(lambda: "heard 10" in site.lines("listens"), 60, lambda: str(site.lines("listens")))
    site.cancel("listens")
    site.wait("listens", RunState.CANCELLED)
    heard = [line for line in site.printed("listens") if line.startswith("heard")]
    assert heard[:2] == ["heard 10", "heard 15"]
    assert set(heard[2:]) <= {"heard 15"}, "SLURM tells all, and apptainer passes it on: a poller takes that for one"
    assert "exit code 7" in site.wait("fails", RunState.FAILED)
    assert "SIGSEGV" in site.wait("dies", RunState.CRASHED)
    assert "not found" in site.wait("missing", RunState.FAILED)
