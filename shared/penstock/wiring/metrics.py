"""`GET /metrics` of `penstock serve`: a listener of its own, apart from the one that Git servers reach.

Off unless an address is given. On the loopback whoever is on the machine may read; anywhere else a bearer token is
required, a secret of its own: whoever reads metrics must not be able to change a plane.
"""

import hmac
import ipaddress
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from werkzeug.wrappers import Request, Response

from penstock.core.errors import Refused, Terminal
from penstock.core.http import HttpResponse, problem
from penstock.core.messages import PLANE
from penstock.core.secrets.names import OWN, secret_name
from penstock.wiring.http import to_response
from penstock.wiring.runtime import Runtime
from penstock.wiring.settings import Settings
from penstock.wiring.telemetry import Observed
from penstock.wiring.web import WebServer, Wsgi

if TYPE_CHECKING:
    from penstock.adapters.telemetry.otel.scrape import Scraped

METRICS_TOKEN = secret_name(OWN, PLANE, "penstock-system", "metrics-token")
THREADS = 2


def serve_metrics(runtime: Runtime, address: str) -> WebServer:
    """A server that listens already, for ``host:port``. Raises Terminal or Refused where it may not."""
    host, port = parse_address(address)
    token = metrics_token(runtime.settings)
    if not token and not is_loopback(host):
        raise Refused(
            f"metrics on {address} could be read by anybody who reaches it: give a token, the Secret "
            f"penstock-system/metrics-token of the plane (PENSTOCK_SECRET_METRICS), or listen on 127.0.0.1:{port}"
        )
    scraped = cast("Observed", runtime.port("telemetry")).pipeline.scraped
    assert scraped is not None, "the plane was opened to be scraped"
    return WebServer(application(scraped, token), host=host, port=port, threads=THREADS)


def application(scraped: "Scraped", token: str) -> Wsgi:
    """Answers GET /metrics, and nothing else. ``token``: "" asks for none."""

    def answer(request: Request) -> Response:
        if request.path != "/metrics":
            return to_response(problem(404, "not found"))
        if request.method not in ("GET", "HEAD"):
            return to_response(problem(405, "GET only"))
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            refused = problem(401, "unauthorized")
            headers = {**refused.headers, "www-authenticate": "Bearer"}
            return to_response(HttpResponse(status=401, headers=headers, body=refused.body))
        content_type, text = scraped.exposition(request.headers.get("accept", ""))
        return Response(text, status=200, content_type=content_type)

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return answer(Request(environ))(environ, start_response)

    return wsgi


def metrics_token(settings: Settings) -> str:
    """The bearer token of whoever scrapes; "" where none is given."""
    return settings.secrets.get(METRICS_TOKEN, {}).get("token", b"").decode().strip()


def parse_address(address: str) -> tuple[str, int]:
    """``host:port``, ``[::1]:port``; ``:port`` is every address of the machine. Raises Terminal."""
    host, colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not address.startswith("[")):
        raise Terminal(f"--metrics-addr is {address!r}: give host:port, as 127.0.0.1:9293")
    return host or "0.0.0.0", int(port)  # noqa: S104 - asks for a token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
