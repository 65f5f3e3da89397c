"""GitRepository (source.toolkit.fluxcd.io): where manifests come from.

Spec: Flux's docs/spec/v1/gitrepositories.md. Every field of v1 is parsed and acted upon.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from penstock.core.flux.fields import Fields
from penstock.core.flux.source_fields import (
    AWS,
    AZURE,
    GENERIC,
    GITHUB,
    SourceDocument,
    common_fields,
    open_source,
    reference,
    wrong_url,
)
from penstock.core.resources import Manifest

KIND = "GitRepository"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """``spec.ref``, "" where not given. Precedence: commit, name, tag, semver, branch; by default branch master."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Include:
    """An entry of ``spec.include``: the tree of another GitRepository of the namespace, copied to ``to_path``."""

    repository: str
    from_path: str = ""
    to_path: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """``spec.verify``: whether the tag's, the commit's, or both signatures must hold, by keys of ``secret``."""

    tag: bool = False
    head: bool = True
    secret: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GitRepository(SourceDocument):
    """One GitRepository, defaults applied.

    ``url``: without userinfo (but for ssh, where the user stays); ``username``/``password``: the url's userinfo, for
    where there is no Secret.
    """

    url: str
    reference: Reference = field(default_factory=Reference)
    username: str = ""
    password: str = field(default="", repr=False)
    include: tuple[Include, ...] = ()
    sparse_checkout: tuple[str, ...] = ()
    recurse_submodules: bool = False
    verification: Verification | None = None


def parse_git_repository(manifest: Manifest, *, file: str = "") -> GitRepository:
    """The GitRepository of a manifest.

    Raises InvalidDocument with the dotted path of the first field that is wrong (reason ``URLInvalid`` for the url).
    """
    spec = open_source(manifest, file=file)
    parts = _url(spec)
    parsed = GitRepository(
        **common_fields(spec, manifest, (GENERIC, AWS, AZURE, GITHUB)),
        url=parts._replace(netloc=_host(parts)).geturl() if parts.scheme != "ssh" else parts.geturl(),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        reference=spec.optional("ref", _reference) or Reference(),
        include=spec.each("include", _include),
        sparse_checkout=_directories(spec),
        recurse_submodules=spec.boolean("recurseSubmodules", default=False),
        verification=spec.optional("verify", _verify),
    )
    if parsed.service_account and parsed.provider not in (AWS, AZURE):
        raise spec.error("serviceAccountName", "can only be set when provider is 'azure' or 'aws'")
    if parsed.provider == GITHUB and not parsed.secret:
        error = spec.error("secretRef", "with github app data must be specified when provider is set to github")
        error.reason = "InvalidProviderConfiguration"
        raise error
    spec.done()
    return parsed


def _url(spec: Fields) -> SplitResult:
    """The url's parts. Messages never repeat it: it may hold a password."""
    text = spec.string("url", longest=2048)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https", "ssh") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        raise wrong_url(spec, "url", "must be http://, https:// or ssh://, with a host (git@host:path is no URL)")
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _reference(ref: Fields) -> Reference:
    name = ref.string("name", default="", longest=255)
    if name.startswith("/") or name.endswith("/"):
        raise ref.error("name", f"is {name!r}, must not start or end with '/'")
    return Reference(
        branch=ref.string("branch", default="", longest=255),
        tag=ref.string("tag", default="", longest=255),
        semver=ref.string("semver", default="", longest=255),
        name=name,
        commit=ref.string("commit", default="", pattern="(?:[0-9a-f]{40})?"),
    )


def _include(each: Fields) -> Include:
    repository = each.nested("repository")
    name = repository.name("name")
    repository.done()
    return Include(repository=name, from_path=_path(each, "fromPath"), to_path=_path(each, "toPath") or name)


def _path(each: Fields, name: str) -> str:
    path = each.string(name, default="", longest=4096)
    if ".." in path.split("/"):
        raise each.error(name, f"is {path!r}, must not lead out of the tree")
    return path


def _directories(spec: Fields) -> tuple[str, ...]:
    found = spec.strings("sparseCheckout")
    for index, each in enumerate(found):
        if ".." in each.split("/"):
            raise spec.error(f"sparseCheckout[{index}]", f"is {each!r}, must not lead out of the tree")
    return found


def _verify(verify: Fields) -> Verification:
    mode = verify.string("mode", default="HEAD", one_of=("HEAD", "head", "Tag", "TagAndHEAD"))
    secret = reference(verify, "secretRef")
    if not secret:
        raise verify.error("secretRef", "is required: the public keys whose signatures count")
    return Verification(tag=mode.startswith("Tag"), head=mode.lower().endswith("head"), secret=secret)
