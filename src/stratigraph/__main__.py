"""``python -m stratigraph`` is the ``stratigraph`` command."""

from stratigraph.cli.main import main

if __name__ == "__main__":
    main()
