"""Run the notebooks of the site, and keep their outputs in them: `make notebooks`.

Each runs in an empty folder. What depends on the machine is not kept: its name, times, versions.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1]


def refresh(path: Path) -> None:
    """Run one from its top, and write it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=1800, startup_timeout=300, resources={"metadata": {"path": folder}}
        )
        client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":  # warnings are of this machine's packages
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        cell.metadata = {key: kept for key, kept in cell.metadata.items() if key == "tags"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or sorted(map(str, DOCS.glob("start/*.ipynb"))):
        print(chosen)
        refresh(Path(chosen))
