"""Does an author see the dataset, and nothing that is the engine's?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stages.engine.work.order import Order
from tests.unit.work.site import Site


def relative(site_order: Order) -> list[str]:
    return [str(path.relative_to(site_order.input)) for path in site_order.attempt().files]


def test_files_are_sorted_and_markers_left_out(site: Site) -> None:
    order = site.order()
    top = Path(order.input)
    for name in ("b/c/d.txt", "b/manifest.json", "b/log.phase9.1.0123abcd", "z.txt"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("x")
    for name in ("manifest.json", "log.phase9.1.0123abcd", "ready.phase9", "retry.phase9.1"):
        (top / name).write_text("ours")
    (top / "taken.phase9.1").symlink_to("0123abcd:host:1:-")
    assert relative(order) == ["a.txt", "b/c/d.txt", "b/log.phase9.1.0123abcd", "b/manifest.json", "z.txt"]


def test_a_symlink_counts_if_it_stays_inside(site: Site) -> None:
    order = site.order()
    top = Path(order.input)
    (site.root / "secret").write_text("x")
    (top / "sub").mkdir()
    for name, target in {
        "inside": "a.txt",
        "sub/up": "../a.txt",
        "outside": str(site.root / "secret"),
        "dangling": "nothing",
        "directory": "sub",
        "loop": "loop",
    }.items():
        (top / name).symlink_to(target)
    assert relative(order) == ["a.txt", "inside", "sub/up"]


def test_a_dataset_below_a_symlink(site: Site) -> None:
    order = site.order()
    link = site.root / "link"
    link.symlink_to(site.root / "IN")
    (Path(order.input) / "b").symlink_to("a.txt")
    seen = replace(order, input=f"{link}/ds1").attempt().files
    assert seen == (link / "ds1" / "a.txt", link / "ds1" / "b")


def test_scratch_is_made_when_asked_for(site: Site) -> None:
    order = site.order()
    attempt = order.attempt()
    assert not Path(order.scratch).exists()
    assert attempt.scratch.is_dir()
    assert str(attempt.scratch) == order.scratch


def test_what_else_an_author_sees(site: Site) -> None:
    attempt = site.order().attempt()
    assert (attempt.dataset, attempt.stage, attempt.number) == ("ds1", "phase9", 1)
    assert attempt.input.is_dir()
    assert attempt.output.is_dir()
    attempt.log.debug("bound")
