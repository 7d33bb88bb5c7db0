"""The configuration files of a private cluster, rendered: pure. Understood by SLURM 22.05 to 26.05."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.cluster.place import Place
from infra.cluster.shape import CPUS, GPU_NODES, GPUS, MEMORY_MB, NODES, Shape, port_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Whose cluster it is and where: `host` as the kernel calls it, without a domain; `has_cgroup_v1` of memory."""

    host: str
    user: str
    has_cgroup_v1: bool = False


def render(place: Place, shape: Shape, machine: Machine, port: int) -> Mapping[str, str]:
    """Return the content of each file by its name in `etc`; `port` is the first of the cluster's."""
    files = {"slurm.conf": _slurm(place, shape, machine, port), "gres.conf": _gres(place)}
    if shape.uses_cgroups:
        files["cgroup.conf"] = _cgroup(machine)
    return files


def _slurm(place: Place, shape: Shape, machine: Machine, port: int) -> str:
    return _SLURM.format(
        at=place.directory,
        host=machine.host,
        user=machine.user,
        port=port,
        tracking=_BY_CGROUPS if shape.uses_cgroups else _BY_LOOKING,
        min_job_age=shape.min_job_age_seconds,
        kill_wait=shape.kill_wait_seconds,
        silence=shape.node_silence_seconds,
        nodes=_nodes(machine, port),
        all=",".join(NODES),
        plain=",".join(node for node in NODES if node not in GPU_NODES),
        gpu=",".join(GPU_NODES),
    )


_SLURM = """\
# Written by `phaseline cluster up`; a change here is lost with the next one.
ClusterName=phaseline
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}

# A requeued job waits until credentials of its last start have run out: 120 s if nothing else is said.
AuthType=auth/munge
AuthInfo=socket={at}/run/munge.sock,cred_expire=5
CredType=cred/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={at}/keys/jwt.key

StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool/%n
SlurmctldPidFile={at}/run/slurmctld.pid
SlurmdPidFile={at}/run/slurmd.%n.pid
SlurmctldLogFile={at}/log/slurmctld.log
SlurmdLogFile={at}/log/%n.log

{tracking}
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={at}/log/jobs.txt

SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1

MinJobAge={min_job_age}
KillWait={kill_wait}
SlurmdTimeout={silence}
SlurmctldTimeout=10
MessageTimeout=10
UnkillableStepTimeout=60
ReturnToService=2

GresTypes=gpu
{nodes}
# Jobs of `cpu`, `gpu` and `main` preempt those of `low`, which are requeued, and of `low-cancel`, which end.
PartitionName=main Nodes={all} Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=cpu Nodes={plain} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=gpu Nodes={gpu} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=low Nodes={all} MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=low-cancel Nodes={all} MaxTime=INFINITE PriorityTier=1 PreemptMode=CANCEL GraceTime=12 State=UP
"""

_BY_LOOKING = """\
# Needs neither root nor systemd: processes are found by their parents, and memory is looked at every second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill"""

_BY_CGROUPS = """\
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/cgroup"""


def _nodes(machine: Machine, port: int) -> str:
    lines: list[str] = []
    for node in NODES:
        gres = f" Gres=gpu:{GPUS}" if node in GPU_NODES else ""
        where = f"NodeHostname={machine.host} NodeAddr=127.0.0.1 Port={port_of(node, port)}"
        lines.append(f"NodeName={node} {where} CPUs={CPUS} RealMemory={MEMORY_MB}{gres} State=UNKNOWN")
    return "\n".join(lines)


def _gres(place: Place) -> str:
    """Files, as a GPU without one is refused; they are links to /dev/null."""
    files = f"{place.directory}/dev/gpu[0-{GPUS - 1}]"
    return "".join(f"NodeName={node} Name=gpu File={files}\n" for node in GPU_NODES)


def _cgroup(machine: Machine) -> str:
    where = (
        "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
        if machine.has_cgroup_v1
        else "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
    )
    return f"{where}ConstrainRAMSpace=yes\nConstrainSwapSpace=no\nConstrainCores=no\nConstrainDevices=no\n"
