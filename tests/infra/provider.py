"""Provider schemas without a provider: what generated bindings say of each resource and data source.

The package is fetched once, by npm or pip, into ``~/.cache/penstock/schemas/<package>-<version>/`` (or below
``$PENSTOCK_SCHEMAS``); of it only the type declarations are kept (a Python package carries npm's within), and of the
code the lines that tests/infra/applied/schema.py reads. The declarations' comments
hold the names as HCL has them, a missing ``?`` says that an argument is required, "<name> block" that it is written as
a block.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERFACE = re.compile(r"^export interface (\w+) (?:extends [\w.]+ )?\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"/\*\*(.*?)\*/\s+readonly (\w+)(\??): ([^;{]+|\{[^}]*\})", re.DOTALL)
_NAME = re.compile(r"\{@link [^ ]*#(\w+) ")
_TYPE = re.compile(r'static readonly tfResourceType = "(\w+)"')
_SHAPE = re.compile(
    r"^(?:class |function \w+ToHclTerraform)|^ +\w+: \{$|// \w+ - computed: |Attribute\('\w+'\)|= new \w+(?:\.\w+)?\(this, "
    r"|^ +(?:type|storageClassType): |^    synthesizeHclAttributes|static tfResourceType"
)
"""The lines of the code that say of which types things are, and what is computed."""
SHAPE = "shape.txt"
_GETTER = re.compile(r"^    get (\w+)\(\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Package:
    """One published version of a provider's bindings. ``prefix``: of its types; ``provider``: the version described.

    ``client``: who fetches it, npm or uv (from where Python's packages are).
    """

    name: str
    version: str
    prefix: str
    provider: str
    client: str


AWS = Package(name="@cdktn/provider-aws", version="25.7.0", prefix="aws_", provider="6.66.0", client="npm")
GOOGLE = Package(name="cdktn-provider-google", version="21.1.0", prefix="google_", provider="8.7.0", client="uv")
GITHUB = Package(name="cdktn-provider-github", version="18.0.0", prefix="github_", provider="6.13.0", client="uv")
PACKAGES = (AWS, GOOGLE, GITHUB)


@dataclass(frozen=True, kw_only=True)
class Argument:
    """``block``: name of the interface of a nested block or object, "" for a plain value; ``many``: it may repeat."""

    required: bool
    written_as_block: bool
    block: str
    many: bool


@dataclass(frozen=True, kw_only=True)
class Type:
    """One resource or data source. ``blocks``: arguments by interface; ``top``: that of the type itself."""

    top: str
    blocks: dict[str, dict[str, Argument]]
    readable: frozenset[str]

    @property
    def arguments(self) -> dict[str, Argument]:
        """Of the type itself."""
        return self.blocks[self.top]

    def can_read(self, attribute: str) -> bool:
        """Whether expressions may read it."""
        return attribute in self.arguments or _camel(attribute) in self.readable


class Schemas:
    """The types of some packages, read as they are asked for. ``folders``: by prefix of types."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._found: dict[tuple[str, str], Type | None] = {}

    def type(self, kind: str, name: str) -> Type | None:
        """``kind``: resource or data. None where the provider has no such type."""
        if (kind, name) not in self._found:
            self._found[kind, name] = self._read(kind, name)
        return self._found[kind, name]

    def knows(self, name: str) -> bool:
        """Whether it is a type of one of these providers, by its prefix."""
        return name.startswith(tuple(self._folders))

    def folder(self, kind: str, name: str) -> Path | None:
        """Where a type is declared: a directory of the package. ``kind``: provider, of which ``name`` is the prefix, too."""
        prefix = name.partition("_")[0] + "_"
        if prefix not in self._folders:
            return None
        tail = name.removeprefix(prefix).replace("_", "-")
        names = {"data": f"data-{prefix.rstrip('_')}-{tail}", "resource": tail, "provider": "provider"}
        folder = self._folders[prefix] / names[kind]
        return folder if folder.is_dir() else None

    def _read(self, kind: str, name: str) -> Type | None:
        folder = self.folder(kind, name)
        if folder is None:
            return None
        text = "\n".join(path.read_text() for path in sorted(folder.rglob("*.d.ts")))
        if name not in _TYPE.findall(text):
            return None
        interfaces = {interface: _arguments(body) for interface, body in _INTERFACE.findall(text)}
        top = re.search(r"^export interface (\w+) extends cdkt[nf]\.TerraformMetaArguments", text, re.MULTILINE)
        body = text[text.index("static readonly tfResourceType") :]
        return Type(top=top.group(1), blocks=interfaces, readable=frozenset(_GETTER.findall(body)))


def _arguments(body: str) -> dict[str, Argument]:
    found = {}
    for comment, camel, optional, kind in _FIELD.findall(body):
        named = _NAME.search(comment)
        name = named.group(1) if named else camel
        interface = re.match(r"[A-Z]\w+", kind)
        found[name] = Argument(
            required=not optional,
            written_as_block=re.search(rf"^\s*\* {name} block$", comment, re.MULTILINE) is not None,
            block=interface.group(0) if interface else "",
            many="[]" in kind,
        )
    return found


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def why_missing(packages: Sequence[Package] = PACKAGES) -> str:
    """Why a machine has no schemas and cannot fetch them; "" where it has."""
    lacking = [each for each in packages if not _folder(each).is_dir() and not _client(each)]
    return ", ".join(f"needs {each.client}, for the schemas of {each.name} {each.version}" for each in lacking)


@functools.cache
def schemas(packages: Sequence[Package] = PACKAGES) -> Schemas:
    """The packages' schemas, fetched at first use. Raises CalledProcessError where that fails."""
    for package in packages:
        folder = _folder(package)
        if folder.is_dir():
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            _keep(_fetch(package, Path(made)), Path(made) / "kept")
            try:
                (Path(made) / "kept" / "lib").rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return Schemas({package.prefix: _folder(package) for package in packages})


def _folder(package: Package) -> Path:
    root = os.environ.get("PENSTOCK_SCHEMAS")
    cache = Path(root) if root else Path.home() / ".cache" / "penstock" / "schemas"
    kept = 2  # changes with what is kept of a package
    return cache / f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}-{kept}"


def _client(package: Package) -> str | None:
    beside = Path(sys.executable).with_name(package.client)
    return str(beside) if beside.exists() else shutil.which(package.client)


def _fetch(package: Package, into: Path) -> Path:
    """The archive of the npm package."""
    client = _client(package)
    assert client is not None
    if package.client == "npm":
        command = [client, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(into)]
        command += [f"{package.name}@{package.version}"]
    else:
        command = [client, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(into)]
        command += ["--python", sys.executable, f"{package.name}=={package.version}"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (archive,) = into.rglob("*.tgz")
    return archive


def _keep(archive: Path, into: Path) -> None:
    with tarfile.open(archive, "r|gz") as packed:
        for member in packed:
            found = re.fullmatch(r"package/(lib/[\w/-]+)(\.d\.ts|\.js)", member.name)
            if not member.isfile() or not found:
                continue
            target = into / f"{found[1]}{'.d.ts' if found[2] == '.d.ts' else '.' + SHAPE}"
            target.parent.mkdir(parents=True, exist_ok=True)
            text = packed.extractfile(member).read().decode()
            if found[2] == ".js":
                text = "\n".join(line for line in text.splitlines() if _SHAPE.search(line))
            target.write_text(text)
