"""Every command that a page shows runs, in the page's own order, on a study of seconds.

A page is followed from its top in a folder of its own: blocks of Python are run, those that begin
with the name of a file are written there, and every line of a shell is a command that has to exit
with 0. Where ``studies/*.yaml`` and ``results/quick`` are meant, a tiny study stands. What cannot
be run here stands in `NOT_RUN`, with the reason; a line that no page has any more fails.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks

import stratigraph as sg
from stratigraph.cli.main import main

COMMAND = re.compile(r"(\w+=\S+ )*(stratigraph|make|pip|python|ray|apt-get) ")
NAMED = re.compile(r"# (\w+\.(?:py|yaml))\b")

NOT_RUN = {
    "make demo": "trains for minutes; CI's other half is `make test`, which runs here",
    "make test": "runs this",
    "make lint": "is the other half of CI",
    "make docs": "tests/docs/test_site.py builds the site",
    "pip install 'stratigraph[ray]'": "installs; the tests' environment has it",
    "stratigraph compare a.parquet b.h5ad:obsm/X_scVI --ids sample_id --interval --figure heat.png": (  # noqa: E501
        "of a reader's own files; docs/how-to/own-models.md makes some, and asks the same of them"
    ),
    "stratigraph latent-size --data sprites --steps 1000 --json": (
        "trains on all of sprites; tests/stages/test_latent_size.py runs it on less"
    ),
}  # fmt: skip
NOT_RUN_WITH = {"--engine ray": "starts Ray, in tests/engine"}
WORDS = {"s3://bucket/paper": "file://{folder}/store/paper"}  # tests/stages runs them at S3
SHORTER = {"latent-size": ("--steps", "10", "--most", "16")}
STEPS = re.compile(r"\bsteps: (300|400)\b")  # of the studies that pages train, to show an outcome


def commands(text: str) -> list[str]:
    """The lines of a shell's block, without comments."""
    lines = (shlex.split(line, comments=True) for line in text.splitlines())
    return [shlex.join(words) for words in lines if words]


def is_run(line: str) -> bool:
    known = {shlex.join(shlex.split(one)) for one in NOT_RUN}
    return line not in known and not any(part in line for part in NOT_RUN_WITH)


def followed() -> list[object]:
    pages = [p for p in PAGES if any(lang in ("sh", "python") for _, lang, *_ in blocks(p))]
    slow = (  # they train, or draw thousands of permutations
        "extending.md", "scaling.md", "paper.md", "train.ipynb", "tutorial.md", "studies.md",
        "measures.md",
    )  # fmt: skip
    return [
        pytest.param(p, id=p.name, marks=[pytest.mark.full] if p.name in slow else [])
        for p in pages
    ]


@pytest.fixture
def world(tiny_study, tmp_path, monkeypatch, without_ink):
    """A folder in which a reader stands, and a server that is up for a moment only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "work"))
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})  # one worker, which is this process
    text = (tiny_study.path / "study.yaml").read_text().partition("# stratigraph format")[0]
    (tmp_path / "studies").mkdir()
    for file in (ROOT / "studies").glob("*.yaml"):
        (tmp_path / "studies" / file.name).write_text(text)
    shutil.copytree(tiny_study.path, tmp_path / "results" / "quick")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def called(line: str, folder: Path) -> None:
    words = [WORDS[w].format(folder=folder) if w in WORDS else w for w in shlex.split(line)]
    if words[0] == "pytest":
        assert pytest.main(["-q", "-p", "no:cacheprovider", *words[1:]]) == 0, line
        return
    if words[1:2] == ["show"]:  # a page cannot know the id of a reader's run
        words[3] = next(iter(sg.load_study(words[2]).runs))[:6]
    assert words[0] == "stratigraph", f"not a command that is run here: {line}"
    with pytest.raises(SystemExit) as stopped:
        main([*words[1:], *SHORTER.get(words[1], ())])
    assert stopped.value.code == 0, line


@pytest.mark.parametrize("page", followed())
def test_a_page_is_followed(page, world, capsys):
    kept: dict[str, object] = {"__name__": "block"}  # what the cells of a notebook share
    for number, language, shown, text in blocks(page):
        place, text = f"{page.name}:{number}", STEPS.sub("steps: 40", text)
        named = NAMED.match(text)
        if named:
            (world / named[1]).write_text(text)
        elif language == "python" and not shown:
            exec(compile(text, place, "exec"), kept if page.suffix == ".ipynb" else dict(kept))
            assert "print(" not in text or capsys.readouterr().out, place
        for line in commands(text) if language == "sh" else ():
            if is_run(line):
                called(line, world)


def test_commands_stand_in_blocks_that_are_run():
    for page in PAGES:
        for number, language, _, text in blocks(page):
            if language not in ("sh", "python", "yaml"):
                found = [line for line in text.splitlines() if COMMAND.match(line) and is_run(line)]
                assert not found, f"{page.name}:{number}: a shell's block is called sh"


def test_what_is_not_run_still_stands_somewhere():
    shown = [
        line
        for page in PAGES
        for _, language, _, text in blocks(page)
        for line in (commands(text) if language == "sh" else ())
    ]
    for line in NOT_RUN:
        assert shlex.join(shlex.split(line)) in shown, line
    for part in NOT_RUN_WITH:
        assert any(part in line for line in shown), part
