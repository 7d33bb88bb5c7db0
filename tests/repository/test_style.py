"""Does the code keep the house's measures and words?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.checkout import ROOT, name, product_modules, sources, tree

MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 40
NOT_OURS = re.compile(r"(^|_)(job|task|worker|run)s?(_|$)|(^|(?<=[a-z]))(Job|Task|Worker|Run)s?(?=[A-Z]|$)")

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, type_of_function))


def docstring_lines(node: ast.AST) -> int:
    """How many lines of a function or module its docstrings take: they are promises, and not counted."""
    return sum(
        inner.body[0].end_lineno - inner.body[0].lineno + 1
        for inner in ast.walk(node)
        if isinstance(inner, (ast.Module, ast.ClassDef, *type_of_function))
        and ast.get_docstring(inner, clean=False) is not None
        and inner.body[0].end_lineno is not None
    )


def test_no_module_is_long() -> None:
    lengths = {
        name(path): len(path.read_text().splitlines()) - docstring_lines(tree(path)) for path in product_modules()
    }
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{name(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1 - docstring_lines(node)
        for path in product_modules()
        for node in functions(path)
        if node.end_lineno is not None
    }
    assert {function: lines for function, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}


def unannotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The arguments without a type, and `return` if that has none."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [star for star in (node.args.vararg, node.args.kwarg) if star is not None]
    bare = [one.arg for one in arguments if one.annotation is None and one.arg not in {"self", "cls"}]
    return bare if node.returns is not None else [*bare, "return"]


def test_every_function_is_annotated() -> None:
    found = {
        f"{name(path)}:{node.lineno} {node.name}": bare
        for path in sources()
        if path.suffix == ".py"
        for node in functions(path)
        if (bare := unannotated(node))
    }
    assert found == {}


def test_every_module_says_what_it_owns() -> None:
    """In its first line, and in one sentence."""
    assert [name(path) for path in product_modules() if not path.read_text().startswith(('"""', "#!"))] == []


def test_prefects_and_slurms_words_name_nothing_of_ours() -> None:
    """Modules and classes of the data plane; `job` as a field is SLURM's own and stays one."""
    ours = [path for path in product_modules() if path.is_relative_to(ROOT / "stages")]
    modules = {name(path) for path in ours if NOT_OURS.search(path.stem)}
    classes = {
        f"{name(path)}:{node.lineno} {node.name}"
        for path in ours
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and NOT_OURS.search(node.name)
    }
    assert modules | classes == set()


# In pieces, so that this file may hold them.
FOREIGN = {
    "an index address": "|".join(["py" + r"pi\.org", "python" + "hosted", "(?<!emit-)index" + "-url", "/sim" + "ple/"]),
    "a path of one machine": "|".join("/" + place for place in ("work/(main|shared)", "opt/(pypi|wheels)", "root/")),
    "a word about how this was written": "|".join(["Clau" + "de", "Anth" + "ropic", "issues" + " show"]),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []
