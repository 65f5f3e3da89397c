"""The HTTP side of an embedded plane: Waitress in a thread, paths to HTTP stages."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from werkzeug.wrappers import Request, Response

from penstock.core.errors import Refused
from penstock.core.http import HttpResponse, json_response, problem
from penstock.wiring.http import BODY_LIMITS, to_response
from penstock.wiring.runtime import Runtime

THREADS = 16
API_THREADS = 8
"""The api may wait for outcomes; deliveries keep the other threads."""
MOST_BODY = max(BODY_LIMITS.values()) + 64 * 1024
"""Waitress takes in a body before anybody looks at it, and cuts the connection above this; the stages' own limits are
lower, so that a body a little too large still gets its answer."""
CONNECTIONS = 500
IDLE_SECONDS = 10
"""Without a byte: who opens connections and says nothing keeps no delivery waiting for longer."""
STOP_SECONDS = 5

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def application(runtime: Runtime, synced: Callable[[], bool]) -> Wsgi:
    """``/hook/…`` is the webhook's, ``/healthz`` answers for the process, everything else is the api's.

    ``synced``: whether every delivery can be verified already. Until then one that cannot be is answered 503, not
    refused.
    """
    api_places = threading.BoundedSemaphore(API_THREADS)

    def route(request: Request) -> Response:
        if request.path == "/healthz":
            return to_response(json_response(200, {"status": "ok" if synced() else "syncing"}))
        return hook(request) if request.path.startswith("/hook/") else api(request)

    def hook(request: Request) -> Response:
        was_synced = synced()
        answer = runtime.serve_http("webhook", request)
        if answer.status_code in (401, 404) and not was_synced:  # the secrets are still being read: it may be a lie
            return to_response(_later("the plane is starting"))
        return answer

    def api(request: Request) -> Response:
        if not api_places.acquire(blocking=False):
            return to_response(_later("too many requests are waiting for outcomes"))
        try:
            return runtime.serve_http("api", request)
        finally:
            api_places.release()

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return route(Request(environ))(environ, start_response)

    return wsgi


def _later(why: str) -> HttpResponse:
    response = problem(503, why)
    return replace(response, headers={**response.headers, "retry-after": "5"})


class WebServer:
    """Listens from the moment that it is made. ``port`` 0 takes a free one."""

    def __init__(self, app: Wsgi, *, host: str, port: int, threads: int = THREADS) -> None:
        from waitress import create_server  # noqa: PLC0415 - only `serve` listens

        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._map: dict[int, Any] = {}
        listening = _listen(host, port)
        self._server = create_server(
            app,
            map=self._map,
            sockets=[listening],
            threads=threads,
            max_request_body_size=MOST_BODY,
            ident="penstock",
            clear_untrusted_proxy_headers=True,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS // 2,
            asyncore_use_poll=True,
        )
        numeric, taken, *_ = listening.getsockname()
        self.url = f"http://[{numeric}]:{taken}" if ":" in numeric else f"http://{numeric}:{taken}"
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Answer."""
        self._thread.start()

    def stop(self) -> None:
        """Let requests in hand finish for a while, then close every connection."""
        from waitress import wasyncore  # noqa: PLC0415 - see above

        self._server.task_dispatcher.shutdown(cancel_pending=False, timeout=STOP_SECONDS)
        if self._thread.is_alive():
            self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._map))
            self._thread.join(STOP_SECONDS)
        else:
            wasyncore.close_all(self._map)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; Waitress itself would leave one open where the port is taken."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, number)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return made
