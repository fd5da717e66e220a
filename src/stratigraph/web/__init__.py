"""The page: a study in the browser, finished or still in training. It reads, and never writes."""

from stratigraph.web.server import serve as serve
