"""The page: a study in the browser, finished or still in training. It reads, and never writes."""

from stratigraph.web.app import make_app
from stratigraph.web.server import serve

__all__ = ["make_app", "serve"]
