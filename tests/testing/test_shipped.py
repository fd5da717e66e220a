"""The contracts are for whoever has the package, without anything that tests are run with."""

import ast
import subprocess
import sys
from pathlib import Path

import stratigraph.testing

CODE = """
import sys
sys.modules.update(dict.fromkeys(("pytest", "_pytest", "hypothesis")))  # as if not installed
from dataclasses import replace
from stratigraph.similarity.catalog import MEASURES
from stratigraph.testing import architectures, claims, datasets, engines, measures, objectives
for check in measures.CHECKS:
    check(MEASURES["linear_cka"])
    try:
        check(replace(MEASURES["linear_cka"], biased=False))
    except AssertionError as error:
        print(error)
"""


def test_checks_need_no_framework():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("linear_cka promises biased=False, but independent")


def test_no_check_is_left_out_under_python_with_o():
    for file in Path(stratigraph.testing.__file__).parent.glob("*.py"):
        tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        assert not [node.lineno for node in tree if isinstance(node, ast.Assert)], file.name
