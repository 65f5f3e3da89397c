"""`penstock serve`: a whole plane in one process, until it is told to stop."""

import argparse
import signal
import sys
import threading
from types import FrameType
from typing import TextIO

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.telemetry.jsonlines import JsonLinesTelemetry
from penstock.adapters.telemetry.libraries import listen
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.adapters.telemetry.text import TextTelemetry
from penstock.cli.plane import change_plane, read_document
from penstock.core.flux.plane import Plane
from penstock.ports.telemetry import Telemetry
from penstock.version import __version__
from penstock.wiring import Runtime, settings_from
from penstock.wiring.embedded import EmbeddedPlane, Options
from penstock.wiring.workers import THREADS

PORT = 9292
"""As Flux's notification-controller, for Receivers."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "serve",
        help="run a whole plane in one process",
        description="Runs webhook, api, fetch, reconcile, notify and the schedule in this process, on a directory.",
    )
    parser.add_argument(
        "--data-dir",
        default="",
        help="default: $PENSTOCK_DATA_DIR, ./.penstock where it exists, else the state directory",
    )
    parser.add_argument("-f", "--plane", default="", metavar="FILE", help="a Plane document to put in force first")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes a free one")
    parser.add_argument(
        "--public-url", default="", help="where the Git server reaches this process, for what it prints"
    )
    parser.add_argument(
        "--workers", type=int, default=THREADS["reconcile"], help="reconciliations at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--metrics-addr",
        default="",
        metavar="HOST:PORT",
        help="answer GET /metrics for Prometheus there, as 127.0.0.1:9293; beyond this machine a token is required",
    )
    parser.add_argument(
        "--log", choices=("text", "json", "none"), default="", help="default: text on a terminal, else json"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; work in hand is finished or given back. Raises what EmbeddedPlane raises."""
    stop = threading.Event()
    _stop_on_signals(stop)
    options = Options(
        settings=settings_from(data_dir=args.data_dir),
        host=args.host,
        port=args.port,
        threads={**THREADS, "reconcile": max(1, args.workers)},
        instead={"log": lambda: _log(args.log, sys.stdout)},
        metrics=args.metrics_addr,
    )
    if args.plane:
        _apply(args.plane, options)
    with EmbeddedPlane(options) as plane:
        listen(plane.runtime.port("log"))
        for line in introduction(plane, args.public_url):
            print(line, flush=True)
        while not stop.is_set() and not plane.wait_synced(0.2):
            pass
        if plane.sync_took is not None:
            print(f"synced     in {plane.sync_took:.1f} s; deliveries are taken", flush=True)
        stop.wait()
        print("stopping   work in hand is finished or given back", flush=True)
    return 0


def _apply(file: str, options: Options) -> None:
    runtime = Runtime(options.settings)
    try:
        for line in change_plane(runtime, read_document(file)):
            print(line)
    finally:
        runtime.close()


def introduction(plane: EmbeddedPlane, public_url: str) -> list[str]:
    """What a plane that starts tells its operator."""
    about: Plane = plane.plane
    names = ", ".join(cluster.name for cluster in about.clusters) or "none yet: `penstock cluster add`"
    lines = [
        f"penstock   {__version__}, plane {about.name}, {len(about.clusters)} clusters ({names})",
        f"data       {plane.runtime.settings.data_dir}",
        f"listening  {plane.url} (/hook/… for Git servers, /status and more for the api, /healthz)",
    ]
    source = f"{about.source.url} {' '.join(about.source.ref.values())}".strip()
    if public_url:
        lines.append(
            f"source     {source}; pushes arrive at {public_url.rstrip('/')}/hook/…: `penstock webhook url NAME`"
        )
    else:
        lines.append(
            f"source     {source}; polled every {about.source.interval_text}, since no --public-url says where "
            "a Git server could push to"
        )
    if plane.metrics_url:
        lines.append(f"metrics    {plane.metrics_url}, for Prometheus")
    if plane.given_back:
        lines.append(f"recovered  {plane.given_back} messages that the last process did not finish")
    return lines


def _log(choice: str, stream: TextIO) -> Telemetry:
    if choice == "none":
        return MemoryTelemetry(most=0)
    if choice == "text" or (not choice and stream.isatty()):
        return TextTelemetry(stream, SystemClock())
    return JsonLinesTelemetry(stream, SystemClock())


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():  # asked twice: at once
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
