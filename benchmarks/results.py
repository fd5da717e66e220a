"""What the kept studies found, claim by claim: the table and the pictures of a page of the docs.

    python benchmarks/results.py [--page docs/explanation/results.md]
                                 [--pictures docs/images/claims]

Reads `findings.json` of the kept studies that replaced the first two. Writes the tables of that
page; a picture shows what every study found of one claim.
"""

from __future__ import annotations

import argparse
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

import stratigraph as sg
from stratigraph.evidence.claims.shared_features import OF_MEASURES
from stratigraph.report.drawing import plain_style
from stratigraph.report.figures.style import STYLE, measure_name, new_figure

KEPT = Path(__file__).parent.parent / "studies" / "results"
OTHERWISE = ("_progress", "_deconfounded", "_weights", "_factors")  # ways to count a question
STUDIES = ("paper-decided", "datasets", "paper-long")
MARKERS = ("o", "s")  # of the measure that decides, and of the other
COLOURS = {"supported": "#0072B2", "contradicted": "#D55E00", "negligible": "#009E73"}
UNDECIDED = "#777777"

# What the paper says of each claim, and what was found says of that.
BESIDE = {
    1: """“The encoder is learned long before the decoder”: agrees by similarity to the final state,
        which is how it was measured. Not once it is counted from the untrained network: then the
        encoder is behind, or ahead, by how fast training is and by which measure.""",
    2: """“… whatever the hyperparameters, objectives and data”: agrees, in the same sense.""",
    3: """“All encoder layers but mean and variance are alike across hyperparameters”: agrees, to
        within a tenth of the margin.""",
    4: """“… and objectives”: agrees, likewise.""",
    5: """“But mean and variance”: agrees over four objectives; within β-VAEs alone it is open.""",
    6: """CKA of mean and sample tracks collapse: agrees. It does not warn of it: by the time it
        falls, latents can be counted.""",
    7: """DIP-VAE II departs in its latents: about the least difference that matters; open.""",
    8: """“CKA and Procrustes lead to the same conclusions”: agrees on ranks of layers. Not on
        progress, where they disagree on who is first.""",
    9: """Left open by the paper, which asks for these networks.""",
    10: """Stable across seeds: agrees.""",
    11: """Encoders and classifiers with one trunk are alike: about
        as unlike as the margin; open.""",
    14: """Ours. Agrees with “settles bottom up”, by raw similarity.""",
    15: """Ours, on the paper's limits.""",
    16: """Abstract of 2304.10767, “encoders are generic, decoders specific”: agrees, but untrained
        encoders are as generic.""",
    17: """Ours, on the paper's aim: when representations disentangle. Open.""",
    18: """Ours, likewise. Open.""",
    19: """Ours, likewise. Open.""",
}

Found = Mapping[str, Any]


def asked() -> dict[int, dict[str, list[Found]]]:
    """Claim → key → what each study found, where it was asked."""
    found: dict[int, dict[str, list[Found]]] = {}
    for name in STUDIES:
        for one in sg.load_study(KEPT / name).findings:
            claim = one["claim"]
            if claim and claim not in OF_MEASURES and one["verdict"] != "not asked":
                found.setdefault(claim, {}).setdefault(one["key"], []).append(
                    {**one, "study": name}
                )
    return dict(sorted(found.items()))


def number(value: float) -> str:
    """``+0.12``, and of small ones the digit that counts."""
    return f"{value:+.2f}" if abs(value) >= 0.095 else f"{value:+.3f}"


def interval(one: Found) -> str:
    """An estimate with its 95 % interval; of scores known too loosely there is none."""
    if one["lower"] is None:
        return "unknown"
    told = f"{number(one['value'])} ({number(one['lower'])} to {number(one['upper'])})"
    return told.replace("-", "−")


def cell(one: Found) -> str:
    """The verdict, the estimate by the measure that decides, and the runs that entered."""
    first = next(iter(one["estimates"].values()))
    return f"{verdict(one)}, {interval(first)}, {first['runs']} runs"


def verdict(one: Found) -> str:
    """In bold, but where nothing is decided."""
    if one["verdict"] != "undecided":
        return f"**{one['verdict']}**"
    return "undecided" + (f": {one['reason']}" if one["reason"] else "")


def claims_table(found: Mapping[int, Mapping[str, Sequence[Found]]]) -> list[str]:
    """A row a question that is not another counted otherwise; and what the paper says of it."""
    rows = ["| claim | found | beside the paper |", "|---|---|---|"]
    for claim, questions in found.items():
        words = " ".join(BESIDE[claim].split())
        for key, studies in questions.items():
            if key.endswith(OTHERWISE):
                continue
            cells = "<br>".join(f"{one['study']}: {cell(one)}" for one in studies)
            rows.append(f"| {claim}. {studies[0]['statement']} | {cells} | {words} |")
            words = ""
    return rows


def questions_table(found: Mapping[int, Mapping[str, Sequence[Found]]]) -> list[str]:
    """A row a question and study, with both measures."""
    rows = ["| claim | question | study | CKA, 95 % interval | Procrustes, 95 % interval | runs | "
            "verdict |", f"|{'---|' * 7}"]  # fmt: skip
    for claim, questions in found.items():
        for studies in questions.values():
            for i, one in enumerate(studies):
                first, *others = one["estimates"].values()
                head = f"| {claim} | {one['statement']} " if i == 0 else "| | "
                rows.append(
                    f"{head}| {one['study']} | {interval(first)} | "
                    f"{interval(others[0]) if others else '–'} | {first['runs']} | {verdict(one)} |"
                )
    return rows


def draw(questions: Mapping[str, Sequence[Found]]) -> Figure:
    """One claim: a panel a question, a line a study, an interval a measure."""
    with plain_style(), mpl.rc_context(STYLE):
        heights = [len(studies) for studies in questions.values()]
        figure = new_figure(7.4, 0.45 + sum(0.42 + 0.34 * height for height in heights))
        axes = figure.subplots(
            len(questions), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        for axis, studies in zip(axes, questions.values(), strict=True):
            null = next(iter(studies[0]["estimates"].values()))["null"] or 0.0
            least = 0.0 if studies[0].get("one_sided") else studies[0].get("least") or 0.0
            axis.axvspan(null - least, null + least, color="#e3e3e3", linewidth=0)
            axis.axvline(null, color="#444444", linewidth=0.7)
            for y, one in enumerate(studies):
                colour = COLOURS.get(one["verdict"], UNDECIDED)
                estimates = list(one["estimates"].items())[:2]
                for (_, each), marker in zip(estimates, MARKERS, strict=False):
                    if each["lower"] is None:
                        continue
                    shift = 0.0 if len(estimates) == 1 else -0.16 if marker == "o" else 0.16
                    axis.plot([each["lower"], each["upper"]], [y + shift] * 2, color=colour,
                              linewidth=2 if marker == "o" else 1)  # fmt: skip
                    axis.plot(each["value"], y + shift, marker, color=colour, markersize=5,
                              markerfacecolor=colour if marker == "o" else "white")  # fmt: skip
            axis.set_yticks(range(len(studies)), [one["study"] for one in studies])
            axis.set_ylim(len(studies) - 0.5, -0.5)
            measures = ", ".join(
                f"{measure_name(measure)} {shape}"
                for measure, shape in zip(studies[0]["estimates"], ("●", "□"), strict=False)
            )
            title = f"{studies[0]['statement'].rstrip('.')}: {measures}"
            axis.set_title(textwrap.fill(title, 110), loc="left", fontsize=7.5)
            beside = axis.twinx()
            beside.set_ylim(axis.get_ylim())
            beside.set_yticks(range(len(studies)), [one["verdict"] for one in studies])
            beside.tick_params(length=0)
            beside.spines[:].set_visible(False)
    return figure


def picture(claim: int) -> str:
    """The name of a claim's picture."""
    return f"claim-{claim:02}.png"


def fill(page: str, name: str, lines: Sequence[str]) -> str:
    """A page with some lines in place of what stands between a mark and its end."""
    before, mark, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    if not (mark and end):
        raise SystemExit(f"expected a line `<!-- {name} -->` and an end after it, got none.")
    return f"{before}{mark}{chr(10).join(lines)}\n{end}{after}"


def main() -> None:
    """Print the tables, or write them into the page; draw the pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    found = asked()
    shown = [
        f"![Claim {claim}: what each study found](../images/claims/{picture(claim)})\n"
        for claim in found
    ]
    parts = {"claims": claims_table(found), "pictures": shown, "questions": questions_table(found)}
    if arguments.page:
        page = arguments.page.read_text()
        for name, lines in parts.items():
            page = fill(page, name, lines)
        arguments.page.write_text(page)
    else:
        print("\n\n".join("\n".join(lines) for lines in parts.values()))
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for claim, questions in found.items():
            buffer = io.BytesIO()
            draw(questions).savefig(buffer, dpi=120)
            few = Image.open(buffer).convert("RGB").quantize(32)
            few.save(arguments.pictures / picture(claim), optimize=True)


if __name__ == "__main__":
    main()
