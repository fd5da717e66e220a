"""``python -m stratigraph`` is the ``stratigraph`` command."""

import sys
from pathlib import Path

# `python -m` looks for modules in the current folder first, which may be a stranger's study.
_here = Path.cwd()
if not (sys.flags.safe_path or Path(__file__).is_relative_to(_here)) and _here == Path(sys.path[0]):
    del sys.path[0]

from stratigraph.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
