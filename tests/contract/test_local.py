"""Does `local` keep its word when workers, launchers, machines and storage fail, and when jobs behave badly?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from infra.slurm.local import LAUNCHER_GONE, MACHINE_RESTARTED, LocalTransport
from infra.slurm.machine import is_gone, machine, pid_of, process, start_ticks
from infra.slurm.result import read_result
from infra.slurm.states import JobState, Phase
from infra.slurm.transport import SubmissionRefusedError
from tests.contract.clusters import LIMIT_SECONDS, LocalCluster, is_pending, report_of, wait_for
from tests.waiting import wait_until

OVER = [state for state in JobState if state.phase is Phase.OVER]
OTHER_BOOT = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[LocalCluster]:
    """One slot."""
    local = LocalCluster(tmp_path)
    yield local
    local.close()


@pytest.fixture
def two_slots(tmp_path: Path) -> Generator[LocalCluster]:
    local = LocalCluster(tmp_path, slots=2)
    yield local
    local.close()


def ends(cluster: LocalCluster, job: str) -> tuple[JobState, int | None, int | None]:
    over = wait_for(cluster.transport, job, *OVER)
    return over.state, over.exit_code, over.signal


def wait_for_words(cluster: LocalCluster, job: str, words: str) -> None:
    wait_until(lambda: words in cluster.output(job), LIMIT_SECONDS, f"{words!r} in the output of {job}")


def is_ended(pid: int) -> bool:
    return start_ticks(pid) is None


def pids_said(cluster: LocalCluster, job: str) -> list[int]:
    """The numbers that stand in the job's output."""
    return [int(word) for word in cluster.output(job).split() if word.isdecimal()]


def processes_with(argument: str) -> list[int]:
    """The processes that were started with this argument."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if argument in path.read_text(errors="replace").split("\0"):
                found.append(int(path.parent.name))
    return found


# ---------------------------------------------------------------- slots


def test_workers_share_the_slots_of_a_machine(two_slots: LocalCluster) -> None:
    workers = [two_slots.transport, two_slots.another]
    open_jobs = [workers[i % 2].submit(two_slots.held(f"a.{i}")) for i in range(5)]
    begun = 0
    while open_jobs:
        wanted = min(2, len(open_jobs))

        def running() -> list[str]:
            reports = {job: report_of(workers[0], job) for job in open_jobs}
            assert all(report.state in {JobState.RUNNING, JobState.PENDING} for report in reports.values())
            return [job for job, report in reports.items() if report.state is JobState.RUNNING]

        wait_until(lambda n=wanted: len(running()) >= n, LIMIT_SECONDS, "jobs to take the free slots")
        assert len(running()) == wanted
        job = running()[0]
        open_jobs.remove(job)
        two_slots.tell(job, 0)
        assert ends(two_slots, job) == (JobState.COMPLETED, 0, None)
        begun += 1
    assert begun == 5


def test_slots_of_another_name_are_others(cluster: LocalCluster, tmp_path: Path) -> None:
    other = LocalTransport(str(cluster.jobs), slots=1, slots_name=os.urandom(8).hex())
    for number, transport in enumerate((cluster.transport, other)):
        wait_for(transport, transport.submit(cluster.held(f"a.{number}")), JobState.RUNNING)


@pytest.mark.parametrize(("slots", "name"), [(0, "x"), (1, ""), (1, "x" * 65)])
def test_impossible_slots_are_refused(slots: int, name: str) -> None:
    with pytest.raises(ValueError, match="slots"):
        LocalTransport("/jobs", slots=slots, slots_name=name)


# ---------------------------------------------------------------- ends


def test_who_ignores_term_is_killed_after_the_grace(cluster: LocalCluster) -> None:
    script = "trap '' TERM; echo ready; while :; do read -r -t 60 <> <(:); done"
    job = cluster.transport.submit(cluster.spec("a.1", "bash", "-c", script, grace_seconds=1))
    wait_for_words(cluster, job, "ready")
    cluster.transport.cancel([job])
    assert ends(cluster, job) == (JobState.CANCELLED, None, signal.SIGKILL)


def test_a_command_is_told_once_and_has_its_grace(cluster: LocalCluster) -> None:
    """By the script alone: what a command starts is told by the command, or not."""
    program = (
        "import os, signal, sys\n"
        "told = []\n"
        "signal.signal(signal.SIGTERM, lambda number, _: told.append(number))\n"
        "child = os.posix_spawn('/bin/sleep', ['sleep', '1000'], {}, setsigmask=[signal.SIGTERM])\n"
        "print('ready', child, flush=True)\n"
        "while not told:\n"
        "    signal.pause()\n"
        "signal.sigtimedwait([], 0.3)\n"
        "print('told', len(told), [line for line in open(f'/proc/{child}/status') if 'ShdPnd' in line])\n"
        "sys.exit(7)\n"
    )
    job = cluster.transport.submit(cluster.spec("a.1", sys.executable, "-c", program))
    wait_for_words(cluster, job, "ready")
    cluster.transport.cancel([job])
    cluster.another.cancel([job])
    assert ends(cluster, job) == (JobState.CANCELLED, 7, None)
    assert "told 1 ['ShdPnd:\\t0000000000000000\\n']\n" in cluster.output(job)


def test_a_time_limit_warns_then_asks_then_kills(cluster: LocalCluster) -> None:
    script = "trap 'echo warned' USR1; trap 'echo asked' TERM; while :; do read -r -t 60 <> <(:); done"
    spec = cluster.spec("a.1", "bash", "-c", script, time_limit_seconds=2, grace_seconds=1)
    job = cluster.transport.submit(spec)
    assert ends(cluster, job) == (JobState.TIMEOUT, None, signal.SIGKILL)
    assert report_of(cluster.transport, job).reason == "time limit of 2 s"
    said = cluster.output(job)
    assert said.index("SIGUSR1") < said.index("warned") < said.index("SIGTERM") < said.index("asked")


def test_who_heeds_the_warning_has_completed(cluster: LocalCluster) -> None:
    script = "trap 'exit 0' USR1; while :; do read -r -t 60 <> <(:); done"
    spec = cluster.spec("a.1", "bash", "-c", script, time_limit_seconds=2, grace_seconds=1)
    assert ends(cluster, cluster.transport.submit(spec)) == (JobState.COMPLETED, 0, None)


def test_a_signal_is_told_from_an_exit_code(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(cluster.spec("a.1", "bash", "-c", "kill -SEGV $$", environment={"A": "s3cret"}))
    assert ends(cluster, job) == (JobState.FAILED, None, signal.SIGSEGV)
    assert "s3cret" not in cluster.output(job)
    job = cluster.transport.submit(cluster.spec("a.2", "bash", "-c", "exit 255"))
    assert ends(cluster, job) == (JobState.FAILED, 255, None)


def test_nothing_of_a_job_outlives_it(cluster: LocalCluster) -> None:
    script = (
        "(trap '' TERM HUP; exec sleep 1000) & echo $!; setsid -f bash -c 'echo $$; exec sleep 1000'; read -r < \"$0\""
    )
    os.mkfifo(cluster.root / "pipe")
    job = cluster.transport.submit(cluster.spec("a.1", "bash", "-c", script, str(cluster.root / "pipe")))
    wait_until(lambda: len(pids_said(cluster, job)) == 2, LIMIT_SECONDS, "two processes")
    (cluster.root / "pipe").write_text("\n")
    assert ends(cluster, job) == (JobState.COMPLETED, 0, None)
    assert [is_ended(pid) for pid in pids_said(cluster, job)] == [True, True]


def test_a_cancelled_job_that_waited_has_run_nothing(cluster: LocalCluster) -> None:
    first = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, first, JobState.RUNNING)
    second = cluster.transport.submit(cluster.spec("a.2", "echo", "I ran"))
    cluster.transport.cancel([second])
    assert wait_for(cluster.transport, second, *OVER).reason == "cancelled while it waited"
    cluster.tell(first, 0)
    wait_for(cluster.transport, first, *OVER)
    assert cluster.output(second) == ""


# ---------------------------------------------------------------- what a job gets


def test_a_job_gets_what_it_needs_and_no_more(cluster: LocalCluster) -> None:
    worker = cluster.worker(
        environment={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/h", "PREFECT_API_KEY": "k", "SECRET": "s"}
    )
    job = worker.submit(cluster.spec("a.1", "env", environment={"MINE": "$(echo x)\n'"}))
    wait_for(worker, job, *OVER)
    names = {line.partition("=")[0] for line in cluster.output(job).splitlines() if "=" in line}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LC_ALL", "HOME", "MINE"}
    assert "MINE=$(echo x)\n'\n" in cluster.output(job)


def test_megabytes_of_output_arrive_whole(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(
        cluster.spec("a.1", "bash", "-c", "yes 'twelve bytes' | head -c 20000000; echo end >&2")
    )
    assert ends(cluster, job) == (JobState.COMPLETED, 0, None)
    assert os.path.getsize(cluster.jobs / "a.1" / "output") == 20_000_004


def test_hostile_names_and_paths(tmp_path: Path) -> None:
    top = tmp_path / 'it\'s a "$(touch x)" `y` \N{SNOWMAN} %j #'
    top.mkdir()
    cluster = LocalCluster(top)
    spec = replace(
        cluster.spec("a.1", "bash", "-c", 'pwd; printf "%s|" "$@"', "x", "a b", "$(exit)", "\n"), name="\nrm -rf x"
    )
    job = cluster.transport.submit(spec)
    assert ends(cluster, job) == (JobState.COMPLETED, 0, None)
    assert cluster.output(job) == f"{top}\na b|$(exit)|\n|"
    assert cluster.another.find(["a.1"]) == {"a.1": job}


def test_a_directory_of_another_name_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(SubmissionRefusedError, match=r"a\.2 needs a directory of this name"):
        cluster.transport.submit(replace(cluster.spec("a.1", "true"), tag="a.2"))


@pytest.mark.parametrize(("change", "code"), [("command", 127), ("working_directory", 72)])
def test_what_cannot_be_started_says_so(cluster: LocalCluster, change: str, code: int) -> None:
    spec = cluster.spec("a.1", "no-such-program")
    if change == "working_directory":
        spec = replace(spec, working_directory="/no/such/place")
    job = cluster.transport.submit(spec)
    assert ends(cluster, job) == (JobState.FAILED, code, None)
    assert "no" in cluster.output(job)


# ---------------------------------------------------------------- launchers, workers, machines, storage


def test_a_killed_launcher_takes_its_job_with_it(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(cluster.spec("a.1", "bash", "-c", "trap '' TERM; sleep 1000 & echo $$ $!; wait"))
    wait_until(lambda: len(pids_said(cluster, job)) == 2, LIMIT_SECONDS, "the job to begin")
    os.kill(pid_of(cluster.launcher(job)), signal.SIGKILL)
    over = wait_for(cluster.transport, job, *OVER)
    assert (over.state, over.reason) == (JobState.NODE_FAIL, LAUNCHER_GONE)
    wait_until(lambda: all(map(is_ended, pids_said(cluster, job))), LIMIT_SECONDS, "its processes to end")
    following = cluster.transport.submit(cluster.spec("a.2", "true"))
    assert ends(cluster, following) == (JobState.COMPLETED, 0, None)


def test_a_launcher_killed_while_it_waits_is_gone(cluster: LocalCluster) -> None:
    wait_for(cluster.transport, cluster.transport.submit(cluster.held("a.1")), JobState.RUNNING)
    job = cluster.transport.submit(cluster.held("a.2"))
    os.kill(pid_of(cluster.launcher(job)), signal.SIGKILL)
    assert wait_for(cluster.transport, job, *OVER).reason == LAUNCHER_GONE
    cluster.transport.cancel([job])
    assert cluster.transport.submit(cluster.held("a.3")) != job


def test_jobs_outlive_the_worker(cluster: LocalCluster, tmp_path: Path) -> None:
    """Killed together with all of its process group, as by a terminal that is closed."""
    program = (
        "from infra.slurm.job import JobSpec\n"
        "from infra.slurm.local import LocalTransport\n"
        "import os, signal, sys\n"
        "jobs, slots_name, pipe = sys.argv[1:]\n"
        "transport = LocalTransport(jobs, slots=1, slots_name=slots_name)\n"
        "command = ('bash', '-c', 'read -r code < \"$0\"; exit $code', pipe)\n"
        "print(transport.submit(JobSpec(tag='a.1', name='a', directory=f'{jobs}/a.1', command=command,\n"
        "      working_directory='/')), flush=True)\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    cluster.held("a.1")
    worker = subprocess.run(
        [sys.executable, "-c", program, str(cluster.jobs), os.urandom(8).hex(), str(tmp_path / "pipes" / "a.1")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert worker.returncode == -signal.SIGKILL, worker.stderr
    job = worker.stdout.strip()
    cluster.tell(job, 5)
    assert ends(cluster, job) == (JobState.FAILED, 5, None)


def test_a_submission_that_was_cut_short_is_none_and_can_be_made_again(cluster: LocalCluster) -> None:
    spec = cluster.spec("a.1", "echo", "once")
    os.mkdir(spec.directory)
    Path(spec.directory, "script").write_text("#!/bin/bash\necho half")
    Path(spec.directory, "output").touch()
    assert cluster.transport.find(["a.1"]) == {}
    assert cluster.transport.look([f"somewhere:{spec.directory}"]) == {f"somewhere:{spec.directory}": None}
    job = cluster.transport.submit(spec)
    assert ends(cluster, job) == (JobState.COMPLETED, 0, None)
    assert cluster.output(job) == "once\n"


def test_submitted_by_many_at_once_it_has_one_launcher(cluster: LocalCluster) -> None:
    """Counted while it waits: whoever lost has left, and has run nothing."""
    first = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, first, JobState.RUNNING)
    spec = cluster.spec("a.2", "echo", "once")
    with ThreadPoolExecutor(8) as threads:
        jobs = {one.result() for one in [threads.submit(cluster.worker().submit, spec) for _ in range(8)]}
    assert processes_with(spec.directory) == [pid_of(cluster.launcher("a.2"))]
    cluster.tell(first, 0)
    assert ends(cluster, jobs.pop()) == (JobState.COMPLETED, 0, None)
    assert not jobs
    assert cluster.output("a.2") == "once\n"
    assert not [name for name in os.listdir(spec.directory) if name.endswith(".new")]


def test_after_a_restart_of_the_machine_its_jobs_are_over(cluster: LocalCluster) -> None:
    over, open_job = (cluster.transport.submit(spec) for spec in (cluster.spec("a.1", "true"), cluster.held("a.2")))
    assert ends(cluster, over) == (JobState.COMPLETED, 0, None)
    wait_for(cluster.transport, open_job, JobState.RUNNING)
    host, _, namespace = machine().split(":")
    restarted = cluster.worker(here=f"{host}:{OTHER_BOOT}:{namespace}")
    assert report_of(restarted, over).state is JobState.COMPLETED
    report = report_of(restarted, open_job)
    assert (report.state, report.reason) == (JobState.NODE_FAIL, MACHINE_RESTARTED)
    restarted.cancel([open_job])  # must not signal a process of this boot that has its number


def test_another_host_takes_no_job_for_dead(cluster: LocalCluster) -> None:
    """It sees the same files, after a kill of the launcher too; what it cancels is cancelled by the launcher's host."""
    jobs = [cluster.transport.submit(cluster.held("a.1"))]
    wait_for(cluster.transport, jobs[0], JobState.RUNNING)
    jobs.append(cluster.transport.submit(cluster.held("a.2")))
    elsewhere = cluster.worker(here=f"elsewhere:{OTHER_BOOT}:1")
    assert elsewhere.find(["a.1", "a.2"]) == dict(zip(["a.1", "a.2"], jobs, strict=True))
    assert elsewhere.submit(cluster.spec("a.1", "true")) == jobs[0]
    os.kill(pid_of(cluster.launcher(jobs[1])), signal.SIGKILL)
    wait_until(lambda: is_gone(cluster.launcher(jobs[1]), machine()), LIMIT_SECONDS, "the launcher to end")
    assert [report_of(elsewhere, job).state for job in jobs] == [JobState.RUNNING, JobState.PENDING]
    elsewhere.cancel(jobs)
    assert wait_for(elsewhere, jobs[0], *OVER).state is JobState.CANCELLED


@pytest.mark.parametrize("differs", ["namespace", "ticks"])
def test_another_process_of_the_same_number_is_told_nothing(cluster: LocalCluster, differs: str) -> None:
    """A number is used again after a while, and means another process in a container."""
    bystander = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, setsigmask=[signal.SIGTERM])
    try:
        host, boot, namespace, pid, ticks = process(bystander).split(":")
        namespace, ticks = ("1", ticks) if differs == "namespace" else (namespace, str(int(ticks) - 1))
        directory = cluster.jobs / "a.1"
        directory.mkdir()
        (directory / "launcher").symlink_to(f"{host}:{boot}:{namespace}:{pid}:{ticks}")
        job = f"{host}:{directory}"
        cluster.transport.cancel([job])
        assert not is_pending(bystander, signal.SIGTERM)
        known = JobState.NODE_FAIL if differs == "ticks" else JobState.PENDING
        assert report_of(cluster.transport, job).state is known
    finally:
        os.kill(bystander, signal.SIGKILL)
        os.waitpid(bystander, 0)


def test_a_result_waits_for_its_storage_and_holds_no_slot_meanwhile(two_slots: LocalCluster, tmp_path: Path) -> None:
    cluster = two_slots
    job = cluster.transport.submit(cluster.held("a.1"))
    with cluster.away():
        cluster.tell(job, 4)
        jobs = tmp_path / "others"
        others = cluster.worker(jobs=jobs)
        for number in range(2):
            spec = replace(cluster.held(f"b.{number}"), directory=str(jobs / f"b.{number}"))
            wait_for(others, others.submit(spec), JobState.RUNNING)
        for number in range(2):
            cluster.tell(f"b.{number}", 0)
            wait_for(others, f"here:{jobs}/b.{number}", *OVER)
    assert ends(cluster, job) == (JobState.FAILED, 4, None)


def test_a_removed_directory_ends_the_job(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(cluster.held("a.1"))
    wait_for(cluster.transport, job, JobState.RUNNING)
    launcher = cluster.launcher(job)
    shutil.rmtree(cluster.jobs / "a.1")
    assert cluster.transport.look([job]) == {job: None}
    wait_until(lambda: is_gone(launcher, machine()), LIMIT_SECONDS, "the launcher to end")


def test_a_damaged_result_is_said(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(cluster.spec("a.1", "true"))
    assert ends(cluster, job) == (JobState.COMPLETED, 0, None)
    (cluster.jobs / "a.1" / "result").write_text("{}")
    report = report_of(cluster.transport, job)
    assert report.state is JobState.NODE_FAIL
    assert "a.1/result is no result of a job" in report.reason


def test_a_result_says_when_and_where(cluster: LocalCluster) -> None:
    job = cluster.transport.submit(cluster.spec("a.1", "true"))
    wait_for(cluster.transport, job, *OVER)
    result = read_result(str(cluster.jobs / "a.1"))
    assert result is not None
    assert result.started is not None
    assert result.started <= result.ended
    assert result.node == machine().split(":")[0]


def test_a_launcher_imports_little() -> None:
    """Each job starts one: what takes long to import is not for it."""
    slow = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "prefect", "subprocess", "typing"}
    program = "import sys; sys.path.insert(0, sys.argv[1]); import infra.slurm.launcher; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", program, str(Path(__file__).parents[2])]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert slow & set(loaded) == set()
