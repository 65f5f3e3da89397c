"""``penstock webhook``: what to enter at the Git server (``url``), and a correctly signed delivery (``send``)."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.notifier.http import HttpNotifier
from penstock.cli.tables import receivers
from penstock.core.errors import NotFound, Refused, Terminal
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.records import ObjectRecord, ReceiverRecord, object_key
from penstock.core.secrets.names import parse_secret_name
from penstock.core.webhooks.github import signed
from penstock.ports.state import State
from penstock.wiring import open_runtime, open_state, settings_from
from penstock.wiring.reach import address

NAMESPACE = "flux-system"
HERE = "http://127.0.0.1:9292"
"""Where `penstock serve` listens by default."""

STDIN = "-"
ANYWHERE = "https://PENSTOCK.EXAMPLE.COM"
_NO_COMMIT = "0" * 40
_REPOSITORY = re.compile(r"/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
_LONGEST_TOKEN = 64 * 1024


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser("webhook", help="a Receiver's URL; send it a signed push")
    commands = parser.add_subparsers(metavar="COMMAND", dest="webhook_command", required=True)
    url = commands.add_parser("url", help="what to enter at GitHub for a Receiver, and a ready gh command")
    url.add_argument("name", metavar="NAME", help="of the Receiver")
    url.add_argument("--public-url", default="", help="where GitHub reaches the plane: https://penstock.example.com")
    send = commands.add_parser("send", help="post a delivery, signed as GitHub signs it")
    send.add_argument("name", metavar="NAME", nargs="?", default="", help="of the Receiver (or give --url)")
    send.add_argument("--url", default="", help="the whole webhook URL")
    send.add_argument(
        "--public-url", default="", help=f"where the plane listens (default: what serves on this machine, else {HERE})"
    )
    send.add_argument("--event", choices=("push", "ping"), default="push", help="default: %(default)s")
    send.add_argument("--ref", default="main", help="the branch that was pushed (default: %(default)s)")
    send.add_argument("--commit", default="", help="its new head, 40 hex digits; only a hint for the logs")
    send.add_argument(
        "--secret-file",
        default="",
        metavar="FILE",
        help="holds the Receiver's token, to the byte; - is stdin (default: the plane's store)",
    )
    for each in (url, send):
        each.add_argument("-n", "--namespace", default=NAMESPACE, help="default: %(default)s")
        each.add_argument("--cluster", default="", help="where several clusters have a Receiver of that name")
        each.add_argument("--data-dir", default="", help="the plane's data directory")


def run(args: argparse.Namespace) -> int:
    """Print the URL, or send the delivery: 0 where it was accepted. Raises Refused where it was not."""
    if args.webhook_command == "url":
        state = open_state(args.data_dir)
        print("\n".join(instructions(state, find(state, Named.of(args)), args.public_url)))
        return 0
    if bool(args.url) == bool(args.name):
        raise Terminal("give either the NAME of a Receiver or --url")
    token = _token(args)
    base = args.public_url or address(settings_from(data_dir=args.data_dir)) or HERE
    url = args.url or webhook_url(Named.of(args), token, base)
    answer = HttpNotifier([_host(url)]).send(delivery(url, token, args))
    if not 200 <= answer.status < 300:
        raise Refused(
            f"the plane answered {answer.status}: `penstock get receivers` shows why, as its last refusal"
            + (" (the token ends with a line end: does the Secret's, too?)" if token.endswith(b"\n") else "")
        )
    print(accepted(answer))
    return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """Which Receiver. ``cluster`` "" is any."""

    name: str
    namespace: str = NAMESPACE
    cluster: str = ""

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Named":
        """As the flags say."""
        return cls(name=args.name, namespace=args.namespace, cluster=args.cluster)


def find(state: State, named: Named) -> ReceiverRecord:
    """The Receiver's entry in the index. Raises NotFound, or Refused where several differ."""
    found = [
        each
        for each in receivers(state)
        if (each.namespace, each.name) == (named.namespace, named.name) and named.cluster in ("", each.cluster)
    ]
    where = f"Receiver {named.namespace}/{named.name}"
    if not found:
        raise NotFound(f"no webhook of {where} is known yet: `penstock get receivers -A` shows what there is")
    if len({each.digest for each in found}) > 1:
        names = ", ".join(sorted(each.cluster for each in found))
        raise Refused(f"{where} stands in several clusters with different tokens ({names}): add --cluster")
    return found[0]


def instructions(state: State, receiver: ReceiverRecord, public_url: str) -> list[str]:
    """What to enter at GitHub, line by line, and the gh command that does it. Holds no token, only where it is."""
    base = (public_url or ANYWHERE).rstrip("/")
    url = f"{base}/hook/{receiver.digest}"
    _, cluster, namespace, secret = parse_secret_name(receiver.secret)
    events = [each for each in receiver.events if each.lower() != "ping"] or ["push"]
    host, repository = _repository(state, receiver)
    api = f"gh api{f' --hostname {quote(host)}' if host else ''} repos/{repository}/hooks"
    lines = [
        f"Payload URL   {url}",
        "Content type  application/json",
        f"Secret        key token of Secret {namespace}/{secret} (cluster {cluster})",
        f"Events        {', '.join(events)}",
        "",
        "With GitHub's command line, the token never on a command line:",
        "",
        f"  kubectl -n {quote(namespace)} get secret {quote(secret)} -o jsonpath='{{.data.token}}' | base64 --decode |",
        f"    {api} -X POST -f name=web -F active=true \\",
        *(f"      -f {quote(f'events[]={each}')} \\" for each in events),
        f"      -f {quote(f'config[url]={url}')} -f 'config[content_type]=json' -F 'config[secret]=@-'",
    ]
    if not public_url:
        lines += ["", f"No --public-url was given: put your plane's own in place of {ANYWHERE}."]
    return lines


def webhook_url(named: Named, token: bytes, public_url: str) -> str:
    """Where the Receiver listens: its path follows from token, name and namespace, as in Flux."""
    return f"{public_url.rstrip('/')}/hook/{webhook_digest(token, named.name, named.namespace)}"


def delivery(url: str, token: bytes, args: argparse.Namespace) -> HttpRequest:
    """The signed request that the flags ask for."""
    payload: dict[str, object] = {"zen": "Keep it logically awesome."}
    if args.event == "push":
        ref = args.ref if args.ref.startswith("refs/") else f"refs/heads/{args.ref}"
        payload = {"ref": ref, "before": _NO_COMMIT, "after": args.commit}
    return signed(url=url, event=args.event, payload=payload, token=token, delivery=SystemClock().new_id())


def accepted(answer: HttpResponse) -> str:
    """One line about a 2xx answer."""
    try:
        told = json.loads(answer.body)
        return f"✔ accepted: {told['accepted']} woken, trace {told['trace']}"
    except (ValueError, KeyError, TypeError):  # --url may lead to a plane of another release, or to Flux
        return f"✔ accepted: {answer.status}"


def _host(url: str) -> str:
    try:
        found = urlsplit(url)
        port = found.port or (443 if found.scheme == "https" else 80)
    except ValueError:
        raise Terminal("the URL is no http or https URL") from None
    return f"{found.hostname}:{port}"


def _token(args: argparse.Namespace) -> bytes:
    token = _read(args.secret_file) if args.secret_file else _stored_token(args)
    if not token:
        raise Terminal("the token is empty: a Receiver without one refuses everything")
    return token


def _read(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(_LONGEST_TOKEN)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_LONGEST_TOKEN)
    except OSError as error:
        raise Terminal(f"--secret-file {file}: {error.strerror}") from error


def _stored_token(args: argparse.Namespace) -> bytes:
    if not args.name:
        raise Terminal("--url needs --secret-file: the token of a URL is not known")
    runtime = open_runtime(args.data_dir)
    entry = find(runtime.port("state"), Named.of(args))
    data = runtime.port("secrets").get(entry.secret) or {}
    if "token" not in data:
        _, _, namespace, secret = parse_secret_name(entry.secret)
        raise NotFound(
            f"the token of Secret {namespace}/{secret} ({entry.secret}) is not in a store that this command can read "
            "(an embedded plane keeps copies in its own memory): give --secret-file FILE or -"
        )
    return bytes(data["token"])


def _repository(state: State, receiver: ReceiverRecord) -> tuple[str, str]:
    """(host unless github.com, OWNER/REPO) of the first GitRepository that the Receiver names."""
    for resource in _git_repositories(receiver.resources):
        record = state.get(object_key(receiver.cluster, "GitRepository", resource["namespace"], resource["name"]))
        spec = ObjectRecord.from_value(record.value).document.get("spec") if record else None
        try:
            url = urlsplit(str((spec or {}).get("url") or ""))
        except ValueError:
            continue
        path = _REPOSITORY.fullmatch(url.path)
        if url.hostname and path:
            return ("" if url.hostname == "github.com" else url.hostname), path[1]
    return "", "OWNER/REPO"


def _git_repositories(resources: Sequence[object]) -> list[dict[str, str]]:
    return [each for each in resources if isinstance(each, dict) and each["kind"] == "GitRepository"]
