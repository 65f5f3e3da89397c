"""Where a plane's api is, and the token that it asks for: what commands need to talk to it.

`penstock serve` writes its address into its data directory while it runs, so that on the same machine nothing has to
be said twice.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from penstock.core.errors import NotFound, Refused, Terminal, Transient
from penstock.wiring.settings import Settings

ADDRESS = "address"
TOKEN = "api-token"  # noqa: S105 - the name of a file: the token, and below it the one before while that is taken
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """``url``: without a trailing slash."""

    url: str
    token: str = field(repr=False)


def reach(settings: Settings, *, url: str = "", token_file: str = "") -> Reach:
    """The plane to talk to: flags first, then the environment, then what serves on this machine.

    Raises NotFound saying what is missing, Refused where the token would travel unencrypted to another machine.
    """
    chosen = url or settings.url
    if not chosen:
        chosen = _on_this_machine(settings)
    parts = urlsplit(chosen)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Terminal(f"the plane's URL is {chosen!r}, must be http or https")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise Refused(f"{chosen}: the token would travel unencrypted; use https")
    return Reach(url=chosen.rstrip("/"), token=_token(settings, token_file))


def _on_this_machine(settings: Settings) -> str:
    if settings.backend != "embedded":
        raise NotFound(
            f"PENSTOCK_BACKEND={settings.backend}: where the plane's api is, say --url or PENSTOCK_URL "
            "(the output api_url of its Terraform module)"
        )
    found = address(settings)
    if not found:
        raise NotFound(
            f"no plane serves from {settings.data_dir}: start `penstock serve`, or name one with --url or PENSTOCK_URL"
        )
    return found


def address(settings: Settings) -> str:
    """Where a plane on this machine listens, as it wrote down; "" where none does."""
    return _read(settings.data_dir / ADDRESS)


def announce(data_dir: Path, url: str) -> None:
    """Write down where a plane listens. Raises Transient where its directory cannot be written."""
    try:
        (data_dir / ADDRESS).write_text(url + "\n")
    except OSError as error:
        raise Transient(f"{data_dir / ADDRESS}: {error.strerror}") from error


def withdraw(data_dir: Path) -> None:
    """Nothing listens any more."""
    (data_dir / ADDRESS).unlink(missing_ok=True)


def _token(settings: Settings, token_file: str) -> str:
    if token_file:
        found = _first_line(Path(token_file))
        if not found:
            raise NotFound(f"--token-file {token_file}: there is no such file, or it is empty")
        return found
    found = settings.api_token or _first_line(settings.data_dir / TOKEN)
    if not found:
        raise NotFound(
            "no api token: set PENSTOCK_API_TOKEN or --token-file "
            f"(a plane on this machine keeps it in {settings.data_dir / TOKEN})"
        )
    return found


def _first_line(path: Path) -> str:
    return next(iter(_read(path).splitlines()), "").strip()


def _read(path: Path) -> str:
    try:
        with path.open() as file:
            return file.read(_LONGEST).strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise Terminal(f"{path} cannot be read: {error}") from error
