"""The page as an ASGI application: fixed files by name, views by name, nothing by path.

::

    GET /, /heat, /convergence, /models, /latents, /runs    the page; the rest of the address is its
    GET /static/<name>                                      one of the files read at the start
    GET /api/<view>?…                                       JSON, an array after JSON, or PNG
    GET /api/<view>?…&format=csv                            the same numbers as a table

An array follows its facts in one body: the length of the facts in bytes (uint32), the facts (JSON,
filled up with spaces to a multiple of four), then float32, all little-endian. Answers are kept
while the study is as it was, and their ``ETag`` lets a browser ask whether it still is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from stratigraph.errors import IntegrityError, StratigraphError
from stratigraph.web.guard import Guard, own_names
from stratigraph.web.matrix import index_matrix
from stratigraph.web.query import Answer, Query
from stratigraph.web.views.catalog import VIEWS
from stratigraph.web.watch import Watched

__all__ = ["PAGES", "make_app"]

PAGES = ("/", "/heat", "/convergence", "/models", "/latents", "/runs")
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
KEPT = 16 * 2**20  # bytes of answers
THREADS = 4  # views at work at once: each may hold an answer's memory
QUICK = ("overview", "states")  # never behind those that wait for a matrix
# Made of results alone.
SETTLED = ("convergence", "curve", "glance", "heat", "latents", "models", "pair")


class _Answers:
    """Bodies sent last, within a number of bytes."""

    def __init__(self, most: int = KEPT) -> None:
        self.lock = threading.Lock()
        self.most, self.size = most, 0
        self.kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    def get(self, tag: str) -> tuple[str, bytes] | None:
        with self.lock:
            if tag in self.kept:
                self.kept.move_to_end(tag)
            return self.kept.get(tag)

    def put(self, tag: str, kind: str, body: bytes) -> None:
        with self.lock:
            if len(body) > self.most // 4 or tag in self.kept:
                return
            self.kept[tag] = kind, body
            self.size += len(body)
            while self.size > self.most:
                self.size -= len(self.kept.popitem(last=False)[1][1])


def make_app(
    study: Path, token: str | None = None, names: Iterable[str] = (), trust: bool = False
) -> ASGIApp:
    """The page of a study, guarded (`stratigraph.web.guard`).

    Args:
        study: the study's folder.
        token: what every request must bring, or None.
        names: hosts that are served beside this machine's own.
        trust: run the modules that the study names, whoever made it.

    Raises:
        DataError: the folder holds no study.

    """
    watched, answers = Watched(study, trust), _Answers()
    limits = {name: CapacityLimiter(THREADS) for name in ("quick", "other")}
    # The hashes of the matrices are checked before anybody asks: a gigabyte takes a second.
    threading.Thread(target=_warm, args=(watched,), daemon=True).start()
    files = {name: body for name, body in _static() if name.rpartition(".")[2] in KINDS}
    page = files.pop("page.html")

    async def show(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            return JSONResponse({"error": "there is no such file."}, 404)
        return _tag(request, KINDS[name.rpartition(".")[2]], files[name])

    async def view(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in VIEWS:
            return JSONResponse({"error": f"there is no such view; there are {list(VIEWS)}."}, 404)
        limit = limits["quick" if name in QUICK else "other"]
        return await to_thread.run_sync(_answer, request, name, watched, answers, limiter=limit)

    routes = [Route(path, show) for path in PAGES]
    routes += [Route("/static/{name}", static), Route("/api/{name}", view)]
    return Guard(Starlette(routes=routes), token, own_names() | {n.lower() for n in names})


def _warm(watched: Watched) -> None:
    with contextlib.suppress(StratigraphError, OSError):  # told to who asks for it
        for way in watched.study("corrected").config.ways:
            for measure in watched.study(way).measures():
                index_matrix(watched, way, measure)


def _static() -> Iterable[tuple[str, bytes]]:
    for file in resources.files("stratigraph.web").joinpath("static").iterdir():
        yield file.name, file.read_bytes()
    # The report draws with the same ink.
    ink = resources.files("stratigraph.report").joinpath("templates", "draw.js")
    yield ink.name, ink.read_bytes()


def _answer(request: Request, name: str, watched: Watched, answers: _Answers) -> Response:
    given = request.query_params
    quick = name in QUICK  # and told by the clock: what runs need, and that one fell silent
    try:
        stamps = watched.stamps()
        stamp = stamps.results if name in SETTLED else stamps.all
        asked = f"{name}?{request.url.query}"
        tag = hashlib.sha256(f"{stamp} {asked}".encode()).hexdigest()[:32]
        if not quick and request.headers.get("if-none-match") == f'"{tag}"':
            return Response(status_code=304, headers={"etag": f'"{tag}"'})
        kept = None if quick else answers.get(tag)
        if kept is None:
            query = Query({key: value for key, value in given.items() if key != "format"})
            kept = _body(VIEWS[name](watched, query), given.get("format"))
            if not quick:
                answers.put(tag, *kept)
    except IntegrityError as error:
        return JSONResponse({"error": str(error)}, 422)
    except StratigraphError as error:
        return JSONResponse({"error": str(error)}, 400)
    except FileNotFoundError:
        # A record was replaced between two looks at it; the next look finds the new one.
        return JSONResponse({"error": "the study changed just now; ask again."}, 409)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return JSONResponse({"error": "this is a bug of stratigraph; its terminal says more."}, 500)
    kind, body = kept
    headers = {"cache-control": "no-store"}
    if not quick:
        headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache"}
    if given.get("format") == "csv":
        headers["content-disposition"] = "attachment"
    return Response(body, media_type=kind, headers=headers)


def _body(answer: Answer, wanted: str | None) -> tuple[str, bytes]:
    if wanted == "csv" and answer.table is not None:
        return "text/csv", answer.table().to_csv(index=False).encode()
    if answer.png is not None:
        return "image/png", answer.png
    facts = json.dumps(answer.facts, separators=(",", ":"), allow_nan=False).encode()
    if answer.values is None:
        return "application/json", facts
    facts += b" " * (-len(facts) % 4)
    values = answer.values.astype("<f4", copy=False).tobytes()
    return "application/octet-stream", struct.pack("<I", len(facts)) + facts + values


def _tag(request: Request, kind: str, body: bytes) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
