"""Report: a page that stands by itself and tells what is so, whatever a dataset is called or holds."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages.engine import Attempt
from stages.phase2a import extract as phase2a
from stages.phase2b import stage as phase2b
from stages.phase3 import stage as phase3
from stages.phase4 import stage as phase4
from stages.phase5 import stage
from tests.unit.stages.datasets import chain, digests, process, prose, read_json, write_tree

HOSTILE = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """What a page consists of; raises AssertionError where tags do not match."""

    VOID = ("meta", "use", "path", "rect", "line", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Train leaves of a small tree."""
    top = tmp_path_factory.mktemp("dataset")
    files: dict[str, bytes | str] = {f"{number:02}.txt": prose(number, 50) for number in range(12)}
    files |= {
        "copy.txt": prose(3, 50),
        "mail.txt": prose(99) + "write to a.b@example.org\n" * 3,
        "logo.png": b"\0",
    }
    files |= {f"tags{number}.html": f"{HOSTILE} & more {prose(number + 50, 20)}" for number in range(4)}
    write_tree(top / "tree", files)
    (top / "phase2a").mkdir()
    assert phase2a.main(str(top / "tree"), str(top / "phase2a")) == 0
    return chain([phase2b, phase3, phase4], top / "phase2a", top / "rest")


@pytest.fixture(scope="module")
def output(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return process(stage, trained, tmp_path_factory.mktemp("report") / "out")


def test_the_summary_keeps_its_keys(output: Path) -> None:
    summary = read_json(output / "summary.json")
    assert [key for key in summary if not key.startswith("neural")] == [
        "format",
        "dataset",
        "report",
        "files",
        "languages",
        "dropped_by_extract",
        "documents",
        "characters",
        "dropped_by_clean",
        "redacted",
        "vocabulary_size",
        "train_tokens",
        "heldout_tokens",
        "model",
        "perplexity",
        "perplexity_by_order",
        "bits_per_byte",
    ]
    assert (summary["format"], summary["dataset"], summary["report"]) == (1, "ds1", "report.html")


def test_every_file_is_accounted_for(output: Path) -> None:
    summary = read_json(output / "summary.json")
    assert summary["dropped_by_extract"] == {"binary": 1}
    assert summary["dropped_by_clean"] == {"exact duplicate": 1}
    assert summary["redacted"] == {"e-mail address": 3}
    assert summary["languages"] == {"html": 4, "text": 14}
    left_out = [*summary["dropped_by_extract"].values(), *summary["dropped_by_clean"].values()]
    assert summary["files"] == summary["documents"] + sum(left_out)


def test_the_model_and_all_figures_are_beside_the_page(trained: Path, output: Path) -> None:
    own = {"report.html", "summary.json"}
    assert digests(output).keys() - own == digests(trained).keys()
    assert {name: digest for name, digest in digests(output).items() if name not in own} == digests(trained)


def test_the_page_is_whole_and_stands_by_itself(output: Path) -> None:
    page = (output / "report.html").read_text()
    outline = Outline(page)
    tags = [tag for tag, _ in outline.tags]
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert [link for link in outline.values("href") if not link.startswith("#")] == ["summary.json", "metrics.json"]
    assert not re.search(r"url\((?!#)|@import", page)
    ids = outline.values("id")
    assert len(ids) == len(set(ids)), "plots on one page share no name"
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert used <= set(ids)
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)


def test_the_page_can_be_listened_to(output: Path) -> None:
    outline = Outline((output / "report.html").read_text())
    assert ("html", {"lang": "en"}) in outline.tags
    plots = [attributes for tag, attributes in outline.tags if tag == "svg"]
    assert [plot["role"] for plot in plots] == ["img"] * 3
    assert all(plot["aria-label"] for plot in plots)
    assert [tag for tag, _ in outline.tags].count("table") == [tag for tag, _ in outline.tags].count("caption") == 5
    assert {attributes.get("scope") for tag, attributes in outline.tags if tag == "th"} == {"row", "col"}


def test_the_page_says_what_the_summary_says(output: Path) -> None:
    page, summary = (output / "report.html").read_text(), read_json(output / "summary.json")
    for figure in ("documents", "train_tokens", "vocabulary_size"):
        assert f"<dd>{summary[figure]:,}</dd>" in page
    assert f"<dd>{summary['perplexity']:,.2f}</dd>" in page
    assert "exact duplicate 1; redacted: e-mail address 3" in page


def test_a_neural_model_is_reported_beside_the_other_and_travels_along(trained: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(trained, both)
    metrics = read_json(both / "metrics.json")
    (both / "metrics.json").write_text(json.dumps({**metrics, "neural": {"model": "feed-forward", "perplexity": 7.5}}))
    (both / "neural.npz").write_bytes(b"weights")
    output = process(stage, both, tmp_path / "out")
    summary, page = read_json(output / "summary.json"), (output / "report.html").read_text()
    assert (summary["neural_model"], summary["neural_perplexity"]) == ("feed-forward", 7.5)
    assert "<dt>neural perplexity</dt><dd>7.50</dd>" in page
    assert f"({summary['model']}; beside it: feed-forward)" in page
    assert (output / "neural.npz").read_bytes() == b"weights"


def test_plots_take_the_pages_own_colour_of_text(output: Path) -> None:
    page = (output / "report.html").read_text()
    assert "currentColor" in page
    assert stage.INK not in page


def test_nothing_of_the_dataset_is_taken_for_markup(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    stage.process(
        Attempt(
            dataset=f"$x {HOSTILE}",
            stage="phase5",
            number=1,
            input=str(trained),
            output=str(tmp_path / "out"),
            scratch=str(tmp_path / "scratch"),
        )
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "<h1>$x &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in page


def test_the_same_model_gives_the_same_bytes(trained: Path, output: Path, tmp_path: Path) -> None:
    assert digests(output) == digests(process(stage, trained, tmp_path / "out"))
