"""Which paths in a kustomization file lead out of its tree, and how people are shown them."""

import re

_REMOTE_PREFIXES = ("git::", "gh:", "github.com/", "github.com:", "www.github.com/", "www.github.com:")
_URL_SCHEMES = ("http://", "https://")
_LOGIN = re.compile(r"(?<=//)[^/?#]*@")
_ARTIFACT = "oci://"


def is_remote(path: str) -> bool:
    """Whether a path is a URL, or may be a Git repository in one of the forms that kustomize clones."""
    folded = path.lower()
    scheme, slashes, _ = folded.partition("://")
    if slashes and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        return True
    user, at, rest = folded.partition("@")
    if at and user.replace("-", "").isalnum():  # user@host:path, as ssh takes it
        host, colon, _ = rest.partition(":")
        return (bool(colon) and "/" not in host) or rest.startswith("github.com/")
    return folded.startswith(_REMOTE_PREFIXES)


def is_remote_file(path: str) -> bool:
    """Whether kustomize reads a path in any field over HTTP."""
    return path.lower().startswith(_URL_SCHEMES)


def without_login(path: str) -> str:
    """A path or URL for people: a login becomes ``***``, a query (it may hold a token) ``?…`` unless it names a ref."""
    if "://" not in path:
        return path
    place, mark, query = _LOGIN.sub("***@", path, count=1).partition("?")
    kept = [pair for pair in query.split("&") if pair.startswith(("ref=", "version="))]
    return place + (mark + ("&".join(kept) or "…") if query else "")


def names_artifact(path: str) -> bool:
    """Whether a path is meant as the URL of an OCI artifact."""
    return path.lower().startswith(_ARTIFACT)
