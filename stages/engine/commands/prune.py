"""Removes the data of datasets that are done and that nothing needs any more; registers, manifests and logs stay.

A dataset's data is needed until the next stage has published what it made of the output. Of `_trash` and of broken-off
copies in `_incoming` everything goes that is old enough.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict

from stages.engine.catalog import passage
from stages.engine.commands import context
from stages.engine.pruning import Fate, Prune, Pruned, server_now
from stages.engine.quantities import parse_seconds, size
from stages.engine.spec import StageSpec

HELP = "remove old data of finished datasets"


def add_arguments(parser: ArgumentParser) -> None:
    """[STAGE...] --older-than AGE [--dry-run] [--json]."""
    parser.add_argument("stages_named", metavar="STAGE", nargs="*", help="only the input of these stages; default: all")
    parser.add_argument(
        "--older-than", metavar="AGE", required=True, help="such as 12h, 7d, 2w; by the file server's clock"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(arguments: Namespace) -> int:
    """Prune, and say what went, how much that was and what is still needed."""
    older_than_seconds = parse_seconds(arguments.older_than)
    at = context.opened(arguments)
    chosen = at.catalog.chosen(arguments.stages_named)
    done: list[Pruned] = []
    for pruned in _prune(at, chosen, older_than_seconds, dry=arguments.dry_run):
        done.append(pruned)
        if not arguments.json:
            print(_line(pruned, dry=arguments.dry_run))
    total = sum(pruned.size for pruned in done)
    if arguments.json:
        context.print_json({"bytes": total, "dry_run": arguments.dry_run, "found": [asdict(pruned) for pruned in done]})
    else:
        gone = sum(pruned.fate is not Fate.KEPT for pruned in done)
        print(f"{'would free' if arguments.dry_run else 'freed'} {size(total)} in {gone} places")
    return 0


def _prune(
    at: context.Context, chosen: tuple[StageSpec, ...], older_than_seconds: float, *, dry: bool
) -> Iterator[Pruned]:
    now = server_now(at.fs, at.root)
    for spec in chosen:
        following = at.catalog.after(spec)
        prune = Prune(
            fs=at.fs,
            passage=passage(at.root, spec),
            following=None if following is None else passage(at.root, following),
            older_than_seconds=older_than_seconds,
            now=now,
            dry=dry,
        )
        yield from prune.archives()
        yield from prune.leftovers()


def _line(pruned: Pruned, *, dry: bool) -> str:
    if pruned.fate is Fate.KEPT:
        return f"kept     {pruned.path}: {pruned.why}"
    would = "would go" if dry else pruned.fate
    return f"{would:<8} {pruned.path} ({size(pruned.size)})"
