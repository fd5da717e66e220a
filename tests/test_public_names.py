"""What a package or module says it has, it has: ``from … import *`` works everywhere."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import stratigraph

HERE = Path(stratigraph.__file__).parent
PACKAGES = sorted(path.parent for path in HERE.rglob("__init__.py"))


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: path.name)
def test_everything_can_be_imported_from_every_package(folder):
    module = ".".join(["stratigraph", *folder.relative_to(HERE).parts])
    names = {}
    exec(f"from {module} import *", names)
    assert set(getattr(importlib.import_module(module), "__all__", [])) <= names.keys()


def test_every_name_that_a_module_lists_is_bound_in_it():
    """By its source alone, so that nothing heavy is imported."""
    missing = {path.name: _listed_in_vain(path) for path in HERE.rglob("*.py")}
    assert {name: names for name, names in missing.items() if names} == {}


def _listed_in_vain(path):
    bound, listed = set(), []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            bound |= names
            if "__all__" in names and isinstance(node.value, ast.List):
                listed = ast.literal_eval(node.value)
    return sorted(set(listed) - bound)
