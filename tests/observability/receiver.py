"""A collector on the loopback: takes OTLP over HTTP (protobuf), as a real one does, and keeps what it decodes."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


@dataclass(frozen=True)
class Received:
    """A span as it was sent. ``resource``: of the process that made it."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict = field(hash=False)
    events: tuple[str, ...]
    failed: bool
    status: str
    resource: dict = field(hash=False)


class Collector:
    """``status``: what it answers; ``patience``: seconds before it answers at all; ``bodies``: everything it was sent.

    ``keys``: what header x-key may say, None for anything; ``refused``: what it said in requests that are answered 401.
    """

    def __init__(self, *, status=200, patience=0.0, keys=None):
        self.status, self.patience, self.keys, self.refused = status, patience, keys, []
        self.requests, self.bodies, self.headers = [], [], []
        self._spans, self._metrics = [], []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if collector.keys is not None and self.headers.get("x-key") not in collector.keys:
                    collector.refused.append(self.headers.get("x-key"))
                    self.send_error(401)
                    return
                collector.take(self.path, dict(self.headers), body)
                time.sleep(collector.patience)
                answer = ExportTraceServiceResponse() if self.path == "/v1/traces" else ExportMetricsServiceResponse()
                data = answer.SerializeToString()
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Who waited too long for an answer has gone away."""

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def take(self, path, headers, body):
        assert headers.get("content-type", headers.get("Content-Type")) == "application/x-protobuf"
        spans, metrics = [], []
        if path == "/v1/traces":
            spans = list(spans_of(ExportTraceServiceRequest.FromString(body)))
        elif path == "/v1/metrics":
            metrics = list(metrics_of(ExportMetricsServiceRequest.FromString(body)))
        else:
            raise AssertionError(path)
        with self._lock:
            self.requests.append(path)
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self._spans += spans
            self._metrics += metrics

    @property
    def spans(self):
        with self._lock:
            return list(self._spans)

    @property
    def metrics(self):
        with self._lock:
            return list(self._metrics)

    def quiet(self, seconds=3.0, most=120):
        """Wait until nothing has come for so long: a fleet that is still being synced fetches a push by itself."""
        end = time.monotonic() + most
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < seconds:
            assert time.monotonic() < end, "the plane does not come to rest"
            if len(self.spans) != seen:
                seen, since = len(self.spans), time.monotonic()
            time.sleep(0.1)

    def trace_with(self, name, *, also=(), when=lambda spans: True, seconds=60):
        """The spans of the newest whole trace (one root) that has a span ``name``, and spans called all of ``also``.

        ``when``: what else must be so.
        """
        end = time.monotonic() + seconds
        while True:
            traces = [span.trace for span in self.spans if span.name == name]
            for trace in reversed(traces):
                found = [span for span in self.spans if span.trace == trace]
                if {*also} <= {span.name for span in found} and len(roots(found)) == 1 and when(found):
                    return found
            if time.monotonic() > end:
                found = [span for span in self.spans if traces and span.trace == traces[-1]] or self.spans
                told = json.dumps([[span.name, span.id[:4], span.parent[:4], span.status] for span in found])
                raise AssertionError(f"no such trace with {name} and {also}: {told[:6000]}")
            time.sleep(0.1)


def spans_of(request):
    for of_resource in request.resource_spans:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    name=span.name,
                    kind=KINDS[span.kind],
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple(link.trace_id.hex() for link in span.links),
                    attributes=attributes_of(span.attributes),
                    events=tuple(event.name for event in span.events),
                    failed=span.status.code == 2,
                    status=span.status.message,
                    resource=resource,
                )


def metrics_of(request):
    """Each metric as (name, dict of its data), with resource."""
    for of_resource in request.resource_metrics:
        resource = attributes_of(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                yield metric.name, MessageToDict(metric), resource


def attributes_of(found):
    values = {}
    for each in found:
        values[each.key] = getattr(each.value, each.value.WhichOneof("value"))
    return values


def path_to_root(spans, span):
    """Names from a span up to the root of its trace."""
    known = {each.id: each for each in spans}
    names = [span.name]
    while span.parent:
        assert span.parent in known, f"{span.name} goes back to a span that nobody sent"
        span = known[span.parent]
        names.append(span.name)
    return names


def roots(spans):
    known = {each.id for each in spans}
    return [each for each in spans if each.parent not in known]
