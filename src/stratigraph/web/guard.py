"""Who may ask the page, and what a browser may do with its answers.

A page on 127.0.0.1 is within reach of every site that its user visits: a site can send requests to
it, and by pointing its own name at 127.0.0.1 (DNS rebinding) it could read the answers. So the
``Host`` of every request, whatever its method, must be a name of this machine or the address that
the connection came to; nothing can be changed (GET and HEAD alone); and every answer tells the
browser to run no script but the page's own files.

With a token, each request must bring it: in the address once, which leaves a cookie, or as
``Authorization: Bearer``.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ADMITTED", "HEADERS", "LARGEST_HEAD", "Guard", "host_name", "own_names"]

COOKIE = "stratigraph"
LONGEST_QUERY = 8192  # characters
LARGEST_HEAD = 32 * 1024  # bytes of a request's line and headers
ADMITTED = "stratigraph.admitted"  # of a scope: its request passed
METHODS = ("GET", "HEAD")
CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def own_names() -> frozenset[str]:
    """What this machine calls itself."""
    return frozenset({"localhost", "127.0.0.1", "::1", socket.gethostname().lower()})


def host_name(header: str) -> str | None:
    """The name or address in a ``Host`` header, without its port; None where it is malformed."""
    if header.startswith("["):
        name, bracket, port = header[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") else ("0" if not port else "?")
        if not bracket:
            return None
    else:
        name, colon, port = header.partition(":")
        port = port if colon else "0"
    if not name or not (port.isascii() and port.isdigit() and int(port[:6]) <= 65535):
        return None
    return name.lower()


@dataclass(frozen=True)
class Guard:
    """An application behind the rules above.

    Attributes:
        app: what answers the requests that pass.
        token: what each must bring, or None.
        names: the hosts that are served, beside the address a connection came to.

    """

    app: ASGIApp
    token: str | None = None
    names: Iterable[str] = field(default_factory=own_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it; other protocols than HTTP are closed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        scope[ADMITTED] = refusal is None
        await (refusal or self.app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        size = len(scope["query_string"]) + len(scope.get("raw_path") or b"")
        size += sum(len(key) + len(value) for key, value in scope["headers"])
        if size > LARGEST_HEAD:  # the parser measures those alone that come in pieces
            return _plain(431, f"A request's head may have {LARGEST_HEAD:,} bytes.")
        fields: dict[bytes, list[str]] = {}
        for key, value in scope["headers"]:
            fields.setdefault(key, []).append(value.decode("latin-1"))
        hosts = fields.get(b"host", [])
        if len(hosts) != 1 or not self._is_served(host_name(hosts[0]), scope):
            return _plain(
                421,
                "This page answers only to the names of its own machine. Open the address that "
                "`stratigraph serve` printed, or allow this name with --allow-host.",
            )
        if scope["method"] not in METHODS:
            refusal = _plain(405, "This page only shows: GET and HEAD.")
            refusal.headers["allow"] = ", ".join(METHODS)
            return refusal
        if b"transfer-encoding" in fields or fields.get(b"content-length", ["0"]) != ["0"]:
            return _plain(413, "This page only shows: a request has no body.")
        if len(scope["query_string"]) > LONGEST_QUERY:
            return _plain(414, f"A query may have {LONGEST_QUERY} characters; choose fewer runs.")
        return None if self.token is None else _without_token(self.token, scope, fields)

    def _is_served(self, name: str | None, scope: Scope) -> bool:
        if name is None:
            return False
        if name in self.names:
            return True
        try:  # an address cannot be rebound, but only this machine's own is served
            server = (scope.get("server") or ("",))[0]
            return ipaddress.ip_address(name) == ipaddress.ip_address(server)
        except ValueError:
            return False


def _without_token(token: str, scope: Scope, fields: dict[bytes, list[str]]) -> Response | None:
    own = hashlib.sha256(token.encode()).hexdigest()
    # Cookies know no ports: pages of several studies on one machine each have their own.
    name = f"{COOKIE}-{own[:8]}"
    cookies: SimpleCookie = SimpleCookie()
    try:
        for line in fields.get(b"cookie", []):
            cookies.load(line)
    except CookieError:
        cookies.clear()
    held = cookies[name].value if name in cookies else ""
    if hmac.compare_digest(held.encode(), own.encode()):
        return None
    scheme, _, bearer = (fields.get(b"authorization") or [""])[0].partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(bearer.encode(), token.encode()):
        return None
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
    if len(asked) == 1 and hmac.compare_digest(asked[0].encode(), token.encode()):
        # The token leaves the address, so that no history and no screenshot keeps it.
        rest = [
            (k, v) for k, v in parse_qsl(scope["query_string"].decode("latin-1")) if k != "token"
        ]
        place = quote(scope["path"]) + (f"?{urlencode(rest)}" if rest else "")
        entered = RedirectResponse(f"/{place.lstrip('/')}", 303)
        entered.set_cookie(name, own, httponly=True, samesite="lax")
        return entered
    refusal = _plain(401, "This page needs its token. Open the whole address, with ?token=…, once.")
    refusal.headers["www-authenticate"] = 'Bearer realm="stratigraph"'
    return refusal


def _plain(status: int, text: str) -> Response:
    # Nothing of an unread body may be taken for the next request.
    return PlainTextResponse(text + "\n", status, headers={"connection": "close"})


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return sent
