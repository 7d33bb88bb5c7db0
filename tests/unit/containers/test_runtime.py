"""Runtimes: which argument list comes of an image and a command, as text; tests/cluster starts them for real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.containers.runtime import Bind, Container, ContainerError, Runtime, argument_list, binds_of, parse_bind

CONTAINER = Container(
    runtime=Runtime.APPTAINER,
    image="/images/phaseline-phase4-3f2a",
    command=("phaseline", "poll", "phase4"),
    working_directory="/data/_jobs/r.0",
    binds=(Bind(source="/data", target="/data"), Bind(source="/local/scratch", target="/tmp")),
    environment=("CUDA_VISIBLE_DEVICES", "PHASELINE_ROOT"),
)
PASSED = "CUDA_VISIBLE_DEVICES PHASELINE_ROOT"
CONTAINED = [runtime for runtime in Runtime if runtime is not Runtime.NONE]


def words(runtime: Runtime, **changed: object) -> tuple[str, ...]:
    return argument_list(replace(CONTAINER, runtime=runtime, **changed))  # pyright: ignore[reportArgumentType]


def without_programs(found: tuple[str, ...]) -> list[str]:
    """The shell programs left out: what they do is tested where they run."""
    return [word if "\n" not in word else "PROGRAM" for word in found]


def test_without_a_runtime_the_command_is_as_it_was() -> None:
    assert words(Runtime.NONE, image="", working_directory="") == CONTAINER.command


def test_apptainer() -> None:
    assert without_programs(words(Runtime.APPTAINER)) == [
        *("bash", "-c", "PROGRAM", "apptainer", "CUDA_VISIBLE_DEVICES", "PHASELINE_ROOT", "--"),
        *("apptainer", "--quiet", "exec", "--cleanenv", "--contain", "--no-home", "--no-eval", "--no-privs"),
        "--mount=type=bind,source=/data,destination=/data",
        "--mount=type=bind,source=/local/scratch,destination=/tmp",
        "--pwd=/data/_jobs/r.0",
        "/images/phaseline-phase4-3f2a",
        *("/bin/sh", "-c", "PROGRAM", "sh", PASSED, "phaseline", "poll", "phase4"),
    ]


def test_charliecloud() -> None:
    assert without_programs(words(Runtime.CHARLIECLOUD)) == [
        *("bash", "-c", "PROGRAM", "ch-run", "/local/scratch"),
        *("ch-run", "--unset-env=!(CUDA_VISIBLE_DEVICES|PHASELINE_ROOT)"),
        "--bind=/data:/data",
        "--cd=/data/_jobs/r.0",
        *("/images/phaseline-phase4-3f2a", "--"),
        *("/bin/sh", "-c", "PROGRAM", "sh", PASSED, "phaseline", "poll", "phase4"),
    ]


def test_podman() -> None:
    assert without_programs(words(Runtime.PODMAN)) == [
        *("bash", "-c", "PROGRAM", "podman"),
        *("--pull=never", "--network=none", "--pid=host", "--security-opt=label=disable"),
        *("--read-only", "--user=0:0", "--entrypoint="),
        *("--env=CUDA_VISIBLE_DEVICES", "--env=PHASELINE_ROOT"),
        *("--mount=type=bind,src=/data,dst=/data", "--mount=type=bind,src=/local/scratch,dst=/tmp"),
        "--workdir=/data/_jobs/r.0",
        *("--rootfs", "/images/phaseline-phase4-3f2a"),
        *("/bin/sh", "-c", "PROGRAM", "sh", PASSED, "phaseline", "poll", "phase4"),
    ]
    assert "--rootfs" not in words(Runtime.PODMAN, image="localhost/phaseline-phase4:1")


def test_gpus_are_passed_through_if_there_are_any() -> None:
    assert set(words(Runtime.APPTAINER, has_gpus=True)) - set(words(Runtime.APPTAINER)) == {"--nv"}
    added = set(words(Runtime.PODMAN, has_gpus=True)) - set(words(Runtime.PODMAN))
    assert added == {"--device=nvidia.com/gpu=all"}
    assert words(Runtime.CHARLIECLOUD, has_gpus=True) == words(Runtime.CHARLIECLOUD), "it binds the whole of /dev"


@pytest.mark.parametrize("runtime", CONTAINED)
@pytest.mark.parametrize(
    ("changed", "words_of_it"),
    [
        ({"image": ""}, "no image for"),
        ({"image": "--privileged"}, "no image for"),
        ({"command": ()}, "no command"),
        ({"working_directory": "here"}, "absolute paths"),
        ({"binds": (Bind(source="/a\nb", target="/a"),)}, "absolute paths"),
        ({"environment": ("A B",)}, "no name of a variable"),
    ],
)
def test_what_cannot_be_started_is_refused(runtime: Runtime, changed: dict[str, object], words_of_it: str) -> None:
    with pytest.raises(ContainerError, match=words_of_it):
        words(runtime, **changed)


def test_a_sif_is_apptainers_alone() -> None:
    assert "/i.sif" in words(Runtime.APPTAINER, image="/i.sif")
    for runtime in (Runtime.CHARLIECLOUD, Runtime.PODMAN):
        with pytest.raises(ContainerError, match=f"{runtime} a root tree: phaseline image build"):
            words(runtime, image="/i.sif")


def test_paths_with_commas_and_quotes_arrive() -> None:
    odd = (Bind(source='/a,"b', target="/in side"),)
    assert '--mount=type=bind,"src=/a,""b",dst=/in side' in words(Runtime.PODMAN, binds=odd)
    assert '--mount=type=bind,"source=/a,""b",destination=/in side' in words(Runtime.APPTAINER, binds=odd)
    with pytest.raises(ContainerError, match="colon"):
        words(Runtime.CHARLIECLOUD, binds=(Bind(source="/a:b", target="/a"),))


def same(*paths: str) -> list[Bind]:
    return [Bind(source=path, target=path) for path in paths]


def test_scratch_is_bound_and_what_another_bind_covers_is_not() -> None:
    assert binds_of(same("/data", "/data/_jobs/r.0")) == tuple(same("/data", "/tmp"))
    assert binds_of(same("/jobs/r.0", "/data/")) == tuple(same("/data", "/jobs/r.0", "/tmp"))
    assert binds_of(same("/tmp/root")) == tuple(same("/tmp"))
    assert binds_of(same("/data", "/database")) == tuple(same("/data", "/database", "/tmp"))
    mine = Bind(source="/local/7", target="/tmp")
    assert binds_of([mine]) == (mine,)
    assert binds_of([mine, *same("/tmp/root")]) == (mine, *same("/tmp/root")), "seen there only if it is bound itself"


@pytest.mark.parametrize("text", ["", "there", "/a:b", "/a:", "/a:/b:ro", "/a:/b\n"])
def test_a_bind_is_one_absolute_path_or_two(text: str) -> None:
    with pytest.raises(ContainerError, match="/there:/inside"):
        parse_bind(text)
    assert parse_bind("/a") == Bind(source="/a", target="/a")
    assert parse_bind("/a b:/c") == Bind(source="/a b", target="/c")
