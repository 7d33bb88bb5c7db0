"""What SLURM's error texts mean: as recorded from 22.05, 24.11 and 26.05, and as its source has them."""

from __future__ import annotations

import pytest

from infra.slurm.answers import Kind, judge

FAILED = "Batch job submission failed: "
GENERIC = (
    "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)
# What was printed, what it means, and a part of what people are told.
RECORDED = [
    (
        f"sbatch: error: invalid partition specified: nope\nsbatch: error: {FAILED}Invalid partition name specified",
        Kind.REFUSED,
        "nope; Invalid partition name specified: set the job variable 'partition' to one that `sinfo -s` lists",
    ),
    (
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        Kind.REFUSED,
        "Requested node configuration is not available: lower the job variables 'cpus', 'memory_mb', 'gpus' or 'gres'",
    ),
    (
        "sbatch: unrecognized option '--nonsense'\nTry \"sbatch --help\" for more information",
        Kind.REFUSED,
        "directives",
    ),
    ("slurm_load_jobs error: Invalid job id specified", Kind.UNKNOWN_JOB, "Invalid job id specified"),
    ("scancel: error: Kill job error on job id 9: Invalid job id specified", Kind.UNKNOWN_JOB, ""),
    ("scancel: error: Kill job error on job id 9: Job/step already completing or completed", Kind.OVER, ""),
    ("Slurm accounting storage is disabled", Kind.NO_ACCOUNTING, ""),
    ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", Kind.AWAY, "connect failure"),
    (
        "sbatch: error: s_p_parse_file: cannot stat file /nonexistent: No such file or directory, retrying in 1sec",
        Kind.AWAY,
        "",
    ),
]
KNOWN = [
    ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Kind.AWAY, ""),
    ("squeue: error: RPC rate limit exceeded", Kind.AWAY, ""),
    ("slurm_load_jobs error: Zero Bytes were transmitted or received", Kind.AWAY, ""),
    ('sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2"', Kind.AWAY, ""),
    ("sacct: error: slurm_persist_conn_open_without_init: failed: Connection refused", Kind.AWAY, ""),
    (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: {GENERIC}", Kind.LATER, "other jobs have to end"),
    (f"sbatch: error: AssocGrpSubmitJobsLimit\nsbatch: error: {GENERIC}", Kind.LATER, "other jobs have to end"),
    (f"sbatch: error: {GENERIC}", Kind.LATER, "'account', 'qos'"),
    (f"sbatch: error: QOSMaxCpuPerUserLimit\nsbatch: error: {GENERIC}", Kind.REFUSED, "'cpus'"),
    (f"sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: {GENERIC}", Kind.REFUSED, "'time_limit_minutes'"),
    ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", Kind.LATER, ""),
    (
        "sbatch: error: Batch job submission failed: Required partition not available (inactive or drain)",
        Kind.LATER,
        "",
    ),
    (
        "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
        Kind.REFUSED,
        "'account'",
    ),
    ("sbatch: error: Batch job submission failed: Invalid qos specification", Kind.REFUSED, "'qos'"),
    ("sbatch: error: Batch job submission failed: Invalid feature specification", Kind.REFUSED, "'constraint'"),
    ("sbatch: error: Batch job submission failed: Requested reservation is invalid", Kind.REFUSED, "'reservation'"),
    (
        "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
        Kind.REFUSED,
        "'time_limit_minutes'",
    ),
    (
        "sbatch: error: Batch job submission failed: Invalid generic resource (gres) specification",
        Kind.REFUSED,
        "'gpus' or 'gres'",
    ),
    ("sbatch: error: Batch job submission failed: Node count specification invalid", Kind.REFUSED, "'partition'"),
    ("sbatch: error: Batch job submission failed: Invalid license specification", Kind.REFUSED, "'directives'"),
    ("sbatch: error: Batch job submission failed: Invalid node name specified", Kind.REFUSED, "'exclude'"),
    (
        "sbatch: error: Batch job submission failed: User's group not permitted to use this partition",
        Kind.REFUSED,
        "'partition'",
    ),
    (
        "sbatch: error: You must name a project\nsbatch: error: Batch job submission failed: Unspecified error",
        Kind.STRANGE,
        "You must name a project; Unspecified error",
    ),
    ("", Kind.STRANGE, "no reason"),
]


@pytest.mark.parametrize(("text", "kind", "words"), [*RECORDED, *KNOWN])
def test_what_is_said(text: str, kind: Kind, words: str) -> None:
    verdict = judge(text)
    assert verdict.kind is kind
    assert words in verdict.text
    assert "\n" not in verdict.text
