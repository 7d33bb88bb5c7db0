"""Container runtimes: a command and an image become an argument list. Pure; docs/containers.md explains the flags."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

SCRATCH = "/tmp"  # noqa: S108  # where programs look for it; the node's own, or what is bound there


class ContainerError(ValueError):
    """No container can be started like this; the text says what to change."""


class Runtime(StrEnum):
    """What carries an image. `NONE`: no image, the command runs in the node's own system."""

    NONE = "none"
    APPTAINER = "apptainer"
    CHARLIECLOUD = "charliecloud"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A directory of the node, absolute, and where it is seen inside."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A command in an image. `image`: a root tree or a file by its absolute path, for podman a reference as well.

    `environment`: the names of the variables that the command gets, with the values that they have when it starts; of
    all others it gets what the image sets. `binds`: all that it sees of the node, besides /dev, /proc and /sys.
    """

    runtime: Runtime
    image: str
    command: tuple[str, ...]
    working_directory: str
    binds: tuple[Bind, ...] = ()
    environment: tuple[str, ...] = ()
    has_gpus: bool = False


def argument_list(container: Container) -> tuple[str, ...]:
    """Return what to start on a node. Raises ContainerError.

    Its process is, or passes USR1 and TERM on to, the command, and it ends with the command's exit code. No variable's
    value stands in it: `ps` shows it to everybody.
    """
    if container.runtime is not Runtime.NONE:
        _check(container)
    match container.runtime:
        case Runtime.NONE:
            return container.command
        case Runtime.APPTAINER:
            return _apptainer(container)
        case Runtime.CHARLIECLOUD:
            return _charliecloud(container)
        case Runtime.PODMAN:
            return _podman(container)
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            assert_never(container.runtime)


def binds_of(wanted: Sequence[Bind]) -> tuple[Bind, ...]:
    """Return the binds in the order in which they are made, scratch among them, without those that another one covers.

    Of two with the same target the later one counts, so that a person's /tmp replaces the node's.
    """
    by_target = {SCRATCH: SCRATCH}
    by_target.update((posixpath.normpath(bind.target), posixpath.normpath(bind.source)) for bind in wanted)
    kept: list[Bind] = []
    for target, source in sorted(by_target.items()):
        bind = Bind(source=source, target=target)
        if not any(_covers(other, bind) for other in kept):
            kept.append(bind)
    return tuple(kept)


def parse_bind(text: str) -> Bind:
    """Read `/there` or `/there:/inside`. Raises ContainerError."""
    source, colon, target = text.partition(":")
    bind = Bind(source=source, target=target if colon else source)
    for path in (bind.source, bind.target):
        if not path.startswith("/") or ":" in path or not _in_one_line(path):
            raise ContainerError(f"no bind: {text!r}; say /there or /there:/inside, absolute paths without a colon")
    return bind


def _covers(outer: Bind, inner: Bind) -> bool:
    """Tell whether `inner` is seen at its target already."""
    below = posixpath.relpath(inner.target, outer.target)
    return not below.startswith("..") and posixpath.normpath(f"{outer.source}/{below}") == inner.source


# In the image, before the command: what an image sets stands in /ch/environment of a root tree, and counts for what the
# job does not pass. `exec`: the command is to be the process that is sent signals. /tmp is the one place to write to.
_ENTER = """\
_passed=" $1 "
shift
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
case $_passed in *' HOME '*) ;; *) export HOME=/tmp ;; esac
if [ -r /ch/environment ]; then
    while IFS= read -r _line; do
        _name=${_line%%=*}
        case $_name in '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
        case $_passed in *" $_name "*) eval "[ -z \\"\\${$_name+set}\\" ]" || continue ;; esac
        export "$_name=${_line#*=}"
    done </ch/environment
fi
unset _passed _line _name
exec "$@\""""

# On the node, before a runtime.
_EXPORTED = """\
unset "${!APPTAINERENV_@}" "${!SINGULARITYENV_@}" "${!APPTAINER_BIND@}" "${!SINGULARITY_BIND@}"
while [[ $1 != -- ]]; do
    [[ -z ${!1+set} ]] || export "APPTAINERENV_$1=${!1}"
    shift
done
shift
exec "$@\""""
_NAMED = """\
[[ -n ${USER-} ]] || export USER=$(id -un)
export TMPDIR=$1
shift
exec "$@\""""

# A process of rootless podman (4.3) blocks USR1, and ends with 0 at a TERM, which SLURM sends to all: so none stays
# while the command runs. Its output goes where this one's goes, signals go to it, podman keeps its exit code.
_DETACHED = """\
place=$(mktemp -d) || exit
pid='' early=''
pass_on() { if [[ -n $pid ]]; then kill -s "$1" "$pid"; else early=$1; fi; }
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM
podman --cgroup-manager=cgroupfs run --detach --log-driver=passthrough \\
    --pidfile="$place/pid" --cidfile="$place/id" "$@" &
while kill -s 0 $! 2>/dev/null; do wait $!; code=$?; done
id=$(cat "$place/id") && pid=$(cat "$place/pid") || exit $(( code ? code : 125 ))
[[ -z $early ]] || kill -s "$early" "$pid"
while kill -s 0 "$pid" 2>/dev/null; do
    tail --pid="$pid" -s 0.2 -f /dev/null &
    wait $!
done
code=''
for _ in 1 2 3; do
    code=$(podman wait "$id") && [[ -n $code ]] && break
done
podman rm --force "$id" >/dev/null
rm -rf -- "$place"
exit "${code:-125}\""""


def _apptainer(container: Container) -> tuple[str, ...]:
    """`--no-eval`: else a variable's `$(...)` would be carried out. `--no-privs`: as root it cannot raise limits."""
    mounts = (f"--mount={_csv('type=bind', f'source={b.source}', f'destination={b.target}')}" for b in container.binds)
    return (
        *("bash", "-c", _EXPORTED, "apptainer", *container.environment, "--"),
        *("apptainer", "--quiet", "exec", "--cleanenv", "--contain", "--no-home", "--no-eval", "--no-privs"),
        *(("--nv",) if container.has_gpus else ()),
        *mounts,
        f"--pwd={container.working_directory}",
        container.image,
        *_entered(container),
    )


def _charliecloud(container: Container) -> tuple[str, ...]:
    """GPUs need no flag: /dev is the node's. What it finds in TMPDIR it binds to /tmp."""
    for bind in container.binds:
        if ":" in f"{bind.source}{bind.target}":
            raise ContainerError(f"charliecloud can bind no path with a colon: {bind.source}")
    scratch = next((bind.source for bind in container.binds if bind.target == SCRATCH), SCRATCH)
    kept = "|".join(container.environment) or "-"
    return (
        *("bash", "-c", _NAMED, "ch-run", scratch),
        *("ch-run", f"--unset-env=!({kept})"),
        *(f"--bind={bind.source}:{bind.target}" for bind in container.binds if bind.target != SCRATCH),
        f"--cd={container.working_directory}",
        container.image,
        "--",
        *_entered(container),
    )


def _podman(container: Container) -> tuple[str, ...]:
    """No image is fetched, no network set up, no cgroup made: SLURM limits and ends what is in the job's own.

    The node's pid namespace, so that the command is no init, which ignores signals until it has handlers for them.
    """
    is_tree = container.image.startswith("/")
    return (
        *("bash", "-c", _DETACHED, "podman"),
        *("--pull=never", "--network=none", "--pid=host", "--security-opt=label=disable"),
        *("--read-only", "--user=0:0", "--entrypoint="),
        *(("--device=nvidia.com/gpu=all",) if container.has_gpus else ()),
        *(f"--env={name}" for name in container.environment),
        *(f"--mount={_csv('type=bind', f'src={b.source}', f'dst={b.target}')}" for b in container.binds),
        f"--workdir={container.working_directory}",
        *(("--rootfs",) if is_tree else ()),
        container.image,
        *_entered(container),
    )


def _entered(container: Container) -> tuple[str, ...]:
    return ("/bin/sh", "-c", _ENTER, "sh", " ".join(container.environment), *container.command)


def _csv(*fields: str) -> str:
    """Return fields as Go's reader of comma separated values takes them."""
    return ",".join(f'"{field.replace(chr(34), chr(34) * 2)}"' if set('",') & set(field) else field for field in fields)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _check(container: Container) -> None:
    if not container.image or container.image.startswith("-") or not _in_one_line(container.image):
        raise ContainerError(f"no image for {container.runtime}: {container.image!r}; set the job variable `image`")
    if container.image.endswith(".sif") and container.runtime is not Runtime.APPTAINER:
        raise ContainerError(
            f"only apptainer runs a .sif, {container.runtime} a root tree: phaseline image build STAGE --with tree"
        )
    if not container.command:
        raise ContainerError("there is no command to run in the image; set the job variable `command`")
    for path in (container.working_directory, *(path for b in container.binds for path in (b.source, b.target))):
        if not path.startswith("/") or not _in_one_line(path):
            raise ContainerError(f"a container knows absolute paths in one line only: {path!r}")
    for name in container.environment:
        if not _NAME.match(name):
            raise ContainerError(f"no name of a variable: {name!r}")


def _in_one_line(text: str) -> bool:
    return not any(character in text for character in "\0\n\r")
