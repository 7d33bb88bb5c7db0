"""Do locks, base install and wheel hold what pyproject.toml promises?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.checkout import BIN, PRODUCT, ROOT, sources

BASE_PACKAGES_MAX = 9  # "under ten"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ALL = ROOT / "locks" / "all.txt"
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def pins(lock: Path) -> dict[str, list[Requirement]]:
    """The exact versions of a lock, by package; some have one for each of several Pythons."""
    found: dict[str, list[Requirement]] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def versions(lock: Path, package: str) -> set[str]:
    """The versions of a package that a lock has, whatever they are for."""
    return {one.version for pin in pins(lock).get(package, []) for one in pin.specifier}


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml: base, extras and groups."""
    project = PROJECT["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    return [Requirement(line) for lines in cast("list[list[str]]", lists) for line in lines]


def test_there_is_a_lock_for_everything_and_for_a_compute_node() -> None:
    assert [lock.name for lock in LOCKS] == ["all.txt", "base.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_exact_versions_and_no_addresses(lock: Path) -> None:
    for line in lock.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!]+( ; .+)?", line), line
        assert "://" not in line


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_all_locks_agree(lock: Path) -> None:
    assert {
        package: wanted for package in pins(lock) if not (wanted := versions(lock, package)) <= versions(ALL, package)
    } == {}


def test_the_lock_satisfies_what_is_declared() -> None:
    unsatisfied = [
        f"{requirement}: locked is {locked or 'nothing'}"
        for requirement in declared()
        if not (locked := versions(ALL, canonicalize_name(requirement.name)))
        or not all(map(requirement.specifier.contains, locked))
    ]
    assert unsatisfied == [], "type: make lock"


def base_distributions() -> dict[str, importlib.metadata.Distribution]:
    """What an install without extras brings, phaseline itself left out: requirements of requirements, as pip does."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [Requirement(line) for line in cast("list[str]", PROJECT["project"]["dependencies"])]
    while wanted:
        requirement = wanted.pop()
        package = canonicalize_name(requirement.name)
        if package in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[package] = importlib.metadata.distribution(package)
        wanted.extend(map(Requirement, found[package].requires or []))
    return found


def test_the_base_install_is_small_and_locked() -> None:
    locked = {
        package
        for package, found in pins(ROOT / "locks" / "base.txt").items()
        if any(pin.marker is None or pin.marker.evaluate() for pin in found)
    }
    assert set(base_distributions()) == locked
    assert len(locked) <= BASE_PACKAGES_MAX


def built_wheel(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def installed_files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[Path, Path]]:
    """Where each file of a package lies, and where below site-packages it belongs; scripts are left out."""
    for file in distribution.files or []:
        if not {"..", "__pycache__"}.intersection(file.parts):
            yield Path(str(distribution.locate_file(file))), Path(*file.parts)


def isolated(folder: Path) -> Path:
    """A virtual environment with phaseline's wheel and its base requirements, copied from ours, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    [site_packages] = folder.glob("lib/python*/site-packages")
    for distribution in base_distributions().values():
        for here, there in installed_files(distribution):
            (site_packages / there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, site_packages / there)
    with zipfile.ZipFile(built_wheel(folder / "wheel")) as wheel:
        wheel.extractall(site_packages)
    return folder / "bin" / "python"


def test_the_base_install_works_alone(tmp_path: Path) -> None:
    """Every module of the data plane's engine is imported, and the command says what it can do, without any extra."""
    python = isolated(tmp_path / "an environment")
    imports = (
        "import importlib, importlib.metadata as m, pkgutil, stages.engine;"
        "[importlib.import_module(f.name) for f in pkgutil.walk_packages(stages.engine.__path__, 'stages.engine.')"
        " if not f.name.endswith('__main__')];"
        "print(*sorted(d.name for d in m.distributions()))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PHASELINE"))}
    for arguments in (["-c", imports], ["-m", "stages.engine", "--help"]):
        done = subprocess.run(
            [str(python), "-I", *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    names = importlib.metadata.distributions(path=[str(site) for site in tmp_path.glob("*/lib/*/site-packages")])
    assert len([one for one in names if one.name != "phaseline"]) <= BASE_PACKAGES_MAX


def test_the_wheel_holds_every_file_of_the_product(tmp_path: Path) -> None:
    """A stage is its stage.toml and Containerfile as well."""
    with zipfile.ZipFile(built_wheel(tmp_path)) as wheel:
        inside = set(wheel.namelist())
    product = {path.relative_to(ROOT).as_posix() for path in sources() if path.relative_to(ROOT).parts[0] in PRODUCT}
    assert product - inside == set()
    assert {file for file in inside - product if ".dist-info/" not in file} == set()


@pytest.mark.parametrize(
    "command", PROJECT["project"]["entry-points"]["phaseline.commands"].items(), ids=lambda c: c[0]
)
def test_every_command_is_a_module(command: tuple[str, str]) -> None:
    assert importlib.util.find_spec(command[1]) is not None


def test_the_script_is_there() -> None:
    """`make setup` makes `.venv/bin/phaseline`, beside the Python that runs this."""
    assert os.access(BIN / "phaseline", os.X_OK)
