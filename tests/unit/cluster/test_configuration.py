"""What is written into a private cluster's configuration, and what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cluster import daemons, ports, programs
from infra.cluster.cluster import Cluster, Status
from infra.cluster.command import render as in_words
from infra.cluster.configuration import Machine, render
from infra.cluster.errors import ClusterError
from infra.cluster.place import PATH_BYTES_MAX, place_of
from infra.cluster.shape import DAEMONS, PORTS, Shape, port_of

PLACE = place_of(Path("/srv/slurm"))
ADA = Machine(host="laptop", user="ada")


def settings(text: str) -> dict[str, str]:
    """The keys that stand once, with their values."""
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", "NodeName", "Partition"))]
    return dict(line.split("=", 1) for line in lines)


def test_everything_is_in_the_directory_and_the_user_is_its_administrator() -> None:
    found = settings(render(PLACE, Shape(), ADA, 17000)["slurm.conf"])
    paths = {value for key, value in found.items() if "/" in value and not key.endswith(("Type", "Plugin", "Types"))}
    assert {value for value in paths if "/srv/slurm/" not in value} == set()
    assert (found["SlurmUser"], found["SlurmdUser"], found["SlurmctldHost"]) == ("ada", "ada", "laptop(127.0.0.1)")
    assert found["AuthInfo"] == "socket=/srv/slurm/run/munge.sock,cred_expire=5"


def test_nodes_have_ports_of_their_own_and_two_have_gpus() -> None:
    files = render(PLACE, Shape(), ADA, 17000)
    nodes = [line for line in files["slurm.conf"].splitlines() if line.startswith("NodeName")]
    assert [line.split()[0] for line in nodes] == [f"NodeName=n{number}" for number in range(1, 5)]
    assert [f"Port={17000 + number}" in line for number, line in enumerate(nodes, 1)] == [True] * 4
    assert ["gpu:2" in line for line in nodes] == [False, False, True, True]
    assert files["gres.conf"].splitlines() == [
        f"NodeName={node} Name=gpu File=/srv/slurm/dev/gpu[0-1]" for node in ("n3", "n4")
    ]
    assert "cgroup.conf" not in files


def test_a_row_of_ports_is_all_that_a_cluster_listens_on() -> None:
    taken = {port for daemon in DAEMONS if (port := port_of(daemon, 17000)) is not None}
    assert taken == set(range(17000, 17000 + PORTS))


def test_the_shape_is_what_slurm_is_told() -> None:
    shape = Shape(min_job_age_seconds=3, kill_wait_seconds=4, node_silence_seconds=5)
    found = settings(render(PLACE, shape, ADA, 17000)["slurm.conf"])
    assert (found["MinJobAge"], found["KillWait"], found["SlurmdTimeout"]) == ("3", "4", "5")
    assert (found["ProctrackType"], found["JobAcctGatherParams"]) == ("proctrack/linuxproc", "OverMemoryKill")


@pytest.mark.parametrize(("has_v1", "plugin"), [(True, "cgroup/v1"), (False, "cgroup/v2")])
def test_cgroups_keep_memory_and_nothing_else(has_v1: bool, plugin: str) -> None:
    files = render(PLACE, Shape(uses_cgroups=True), Machine(host="h", user="root", has_cgroup_v1=has_v1), 17000)
    assert settings(files["slurm.conf"])["ProctrackType"] == "proctrack/cgroup"
    assert "JobAcctGatherParams" not in files["slurm.conf"]
    found = settings(files["cgroup.conf"])
    assert found["CgroupPlugin"] == plugin
    assert [key for key, value in found.items() if key.startswith("Constrain") and value == "yes"] == [
        "ConstrainRAMSpace"
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/srv/my slurm", "a space"),
        ("/srv/a,b", "','"),
        ("/srv/a#b%n", "'#%'"),
        ("/" + "x" * PATH_BYTES_MAX, f"at most {PATH_BYTES_MAX} bytes"),
    ],
)
def test_a_directory_that_slurm_cannot_name_is_refused(path: str, why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        place_of(Path(path))


def test_ports_are_as_before_or_the_next_row_that_is_free() -> None:
    taken = {17003}
    assert ports.choose(None, 17010, "/a", lambda port: port not in taken) == 17010
    assert ports.choose(None, 17000, "/a", lambda port: port not in taken) not in range(16994, 17004)
    assert ports.choose(None, None, "/a", lambda port: True) == ports.choose(None, None, "/a", lambda port: True)
    assert ports.choose(None, None, "/a", lambda port: True) != ports.choose(None, None, "/b", lambda port: True)
    with pytest.raises(
        ClusterError, match="port 17003 is taken by another program, and the cluster needs 17000 to 17005"
    ):
        ports.choose(17000, None, "/a", lambda port: port not in taken)
    with pytest.raises(ClusterError, match="no 6 ports in a row are free"):
        ports.choose(None, None, "/a", lambda port: False)


def test_what_is_not_installed_is_named_with_the_line_to_type() -> None:
    assert programs.missing(lambda name: name) == []
    assert programs.refusal(programs.missing(lambda name: None if name == "munged" else name)) == (
        "not installed: munged; type: sudo apt-get install --no-install-recommends munge"
    )
    assert programs.refusal(programs.missing(lambda name: None)).endswith(
        "recommends munge slurm-wlm slurm-wlm-jwt-plugin slurmrestd"
    )


def test_daemons_are_told_of_no_other_cluster() -> None:
    seen = daemons.environment({"SLURM_CONF": "/etc/slurm/slurm.conf", "SBATCH_PARTITION": "x", "PATH": "/bin"}, PLACE)
    assert seen == {"PATH": "/bin:/usr/local/sbin:/usr/sbin:/sbin", "SLURM_CONF": "/srv/slurm/etc/slurm.conf"}


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        (
            "slurmrestd: Possible OpenAPI plugins:\nopenapi/v0.0.38\nopenapi/dbv0.0.38\nopenapi/v0.0.37\n",
            "openapi/v0.0.37,openapi/v0.0.38",
        ),
        ("openapi/slurmdbd\nopenapi/slurmctld\nopenapi/util\n", "openapi/slurmctld"),
    ],
)
def test_slurmrestd_loads_what_needs_no_database(listed: str, chosen: str) -> None:
    assert daemons.openapi_plugins(listed) == chosen


def test_status_says_what_is_dead_and_what_to_type(tmp_path: Path) -> None:
    cluster = Cluster(Path("/srv/slurm"))
    gone = Status(host="laptop", user="ada", port=17000, alive=(), nodes=None, jobs=None)
    assert in_words(gone, cluster).splitlines()[-1] == "daemons     none is alive: phaseline cluster up /srv/slurm"
