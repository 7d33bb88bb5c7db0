"""Report: a page for people and summary.json for programs, from the figures that all stages before have left."""

# matplotlib's **kwargs bear no types:
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import html
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stages.engine import Attempt

HERE = Path(__file__).parent
FIGURES = ("extract.json", "clean.json", "tokenise.json", "metrics.json")
MODEL = ("model.npz", "tokenizer.json")
NEURAL = "neural.npz"  # only where Train had PyTorch
ROWS_MAX = 12  # of languages, and of frequent tokens
CURVE_POINTS = 200  # of the frequency curve, evenly on its logarithmic axis
INK = "#010203"  # in report.mplstyle

Json = dict[str, Any]  # what the file of an earlier stage says


class Story(NamedTuple):
    """All that is known of a dataset, stage by stage; `counts`: how often each token stands in the training text."""

    dataset: str
    extract: Json
    clean: Json
    tokenise: Json
    metrics: Json
    counts: NDArray[np.int64]
    tokenizer: Tokenizer


def read(dataset: str, top: Path) -> Story:
    with np.load(top / "model.npz") as model:
        counts: NDArray[np.int64] = model["token_counts"]
    figures: list[Json] = [json.loads((top / name).read_text(encoding="utf-8")) for name in FIGURES]
    return Story(dataset, *figures, counts=counts, tokenizer=Tokenizer.from_file(str(top / "tokenizer.json")))


def summary(story: Story) -> Json:
    """What summary.json says; keys are never renamed, new ones may come."""
    kept: Json = story.clean["out"]
    neural: Json | None = story.metrics.get("neural")
    return {
        "format": 1,
        "dataset": story.dataset,
        "report": "report.html",
        "files": story.extract["files"],
        "languages": story.extract["languages"],
        "dropped_by_extract": {why: files["files"] for why, files in story.extract["dropped"].items()},
        "documents": kept["documents"],
        "characters": kept["characters"],
        "dropped_by_clean": story.clean["dropped"],
        "redacted": story.clean["redacted"],
        "vocabulary_size": story.tokenise["vocabulary_size"],
        "train_tokens": story.tokenise["train"]["tokens"],
        "heldout_tokens": story.tokenise["heldout"]["tokens"],
        "model": story.metrics["model"],
        "perplexity": story.metrics["perplexity"],
        "perplexity_by_order": story.metrics["perplexity_by_order"],
        "bits_per_byte": story.metrics["bits_per_byte"],
        **({} if neural is None else {"neural_model": neural["model"], "neural_perplexity": neural["perplexity"]}),
    }


def plot(name: str, label: str, draw: Callable[[Axes], None]) -> str:
    """Return what `draw` draws as an SVG element, for a page that holds several; `label` is for who does not see it."""
    with style.context(HERE / "report.mplstyle"):
        figure = Figure()
        draw(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|^.*?(?=<svg)", "", out.getvalue(), flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg).replace(INK, "currentColor")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


def draw_frequencies(axes: Axes, counts: NDArray[np.int64]) -> None:
    """Draw how often tokens stand in the training text; `counts` falls."""
    ranks = np.unique(np.geomspace(1, len(counts), CURVE_POINTS).astype(np.int64))
    axes.loglog(ranks, counts[ranks - 1], label="this dataset")
    axes.loglog(ranks, counts[0] / ranks, "--", label="Zipf: 1 / rank")
    axes.set(xlabel="rank of the token", ylabel="times in the training text", ylim=(0.7, None))
    axes.legend()


def draw_orders(axes: Axes, by_order: Sequence[float], uniform: int) -> None:
    orders = [str(order) for order in range(1, len(by_order) + 1)]
    axes.bar_label(axes.bar(orders, by_order), fmt=lambda value: f"{value:,.0f}", padding=2)
    axes.axhline(uniform, color="C1", linestyle="--", label=f"guessing: {uniform:,}")
    axes.set(yscale="log", xlabel="tokens in an n-gram", ylabel="perplexity", ylim=(min(by_order) / 2, uniform * 4))
    axes.legend(loc="upper right")


def draw_curve(axes: Axes, curve: Sequence[Json]) -> None:
    axes.loglog([point["tokens"] for point in curve], [point["perplexity"] for point in curve], "o-")
    axes.set(xlabel="tokens trained on", ylabel="perplexity")
    for axis in (axes.xaxis, axes.yaxis):  # often less than a decade: powers of ten alone would leave no tick
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_minor_locator(NullLocator())


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, text escaped; numbers stand at the right, in groups of three digits."""

    def cell(value: object) -> str:
        if isinstance(value, int | float):
            return f'<td class="number">{number(value)}</td>'
        return f"<td>{html.escape(str(value))}</td>"

    heads = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{html.escape(str(first))}</th>{"".join(map(cell, rest))}</tr>' for first, *rest in rows
    )
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def provenance(story: Story, figures: Json) -> str:
    def listed(what: str, counts: Mapping[str, int]) -> str:
        return f"{what}: {', '.join(f'{why} {number(count)}' for why, count in ranked(counts)) or 'nothing'}"

    found, train, heldout = story.clean["in"]["documents"], story.tokenise["train"], story.tokenise["heldout"]
    dropped, redacted = listed("left out", figures["dropped_by_clean"]), listed("redacted", figures["redacted"])
    held_out = f"held out: {heldout['documents']} {story.tokenise['split_by']}s, {number(heldout['tokens'])} tokens"
    ngrams = [f"{number(count)} of {order}" for order, count in enumerate(story.metrics["ngrams"], 1)]
    rows = (
        ("Extract", figures["files"], "files", listed("left out", figures["dropped_by_extract"])),
        ("Clean", found, "documents", f"{dropped}; {redacted}"),
        ("Tokenise", figures["documents"], "documents", f"vocabulary {number(figures['vocabulary_size'])}; {held_out}"),
        ("Train", train["tokens"], "tokens", f"n-grams: {', '.join(ngrams)}"),
    )
    return table("Every file is accounted for.", ("stage", "took in", "", "and did"), rows)


def page(story: Story, figures: Json) -> str:
    """Return the page; everything that comes from the dataset is escaped."""
    by_order: list[float] = figures["perplexity_by_order"]
    curve: list[Json] = story.metrics["learning_curve"]
    size: int = figures["vocabulary_size"]
    ranking = np.argsort(-story.counts, kind="stable")
    used = story.counts[ranking[story.counts[ranking] > 0]]
    frequent = [
        (repr(story.tokenizer.decode([token], skip_special_tokens=False)), int(story.counts[token]))
        for token in ranking[:ROWS_MAX].tolist()
    ]
    cards = ("documents", "train_tokens", "vocabulary_size", "perplexity", "bits_per_byte", "neural_perplexity")
    models = [figures[key] for key in ("model", "neural_model") if key in figures]
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        dataset=html.escape(story.dataset),
        model=html.escape("; beside it: ".join(models)),
        cards="".join(
            f"<div><dt>{key.replace('_', ' ')}</dt><dd>{number(figures[key])}</dd></div>"
            for key in cards
            if key in figures
        ),
        orders_plot=plot("orders", "Bars: perplexity by order", lambda axes: draw_orders(axes, by_order, size)),
        orders_table=table("Perplexity by order", ("order", "perplexity"), list(enumerate(by_order, 1))),
        curve_plot=plot("curve", "Line: perplexity by tokens trained on", lambda axes: draw_curve(axes, curve)),
        curve_table=table(
            "Learning curve",
            ("tokens", "perplexity"),
            [(number(point["tokens"]), point["perplexity"]) for point in curve],
        ),
        zipf_plot=plot("zipf", "Line: frequency of tokens by rank", lambda axes: draw_frequencies(axes, used)),
        zipf_table=table("Most frequent tokens", ("token", "times"), frequent),
        used=number(len(used)),
        vocabulary=number(size),
        provenance=provenance(story, figures),
        languages=table("Documents by language", ("language", "documents"), ranked(figures["languages"])[:ROWS_MAX]),
        samples="".join(f"<pre>{html.escape(sample['text'])}</pre>" for sample in story.metrics["samples"]),
    )


def process(attempt: Attempt) -> None:
    """Report on one dataset."""
    story = read(attempt.dataset, attempt.input)
    figures = summary(story)
    (attempt.output / "report.html").write_text(page(story, figures), encoding="utf-8")
    (attempt.output / "summary.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    neural = (NEURAL,) if (attempt.input / NEURAL).exists() else ()
    for name in (*FIGURES, *MODEL, *neural):
        shutil.copyfile(attempt.input / name, attempt.output / name)
    print(f"report.html and summary.json: perplexity {number(figures['perplexity'])}")


def setup() -> None:
    """Matplotlib looks for fonts the first time that it draws."""
    plot("warm-up", "", lambda axes: draw_frequencies(axes, np.ones(10, np.int64)))
