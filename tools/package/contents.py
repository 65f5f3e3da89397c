"""What goes into a bundle: the package penstock, its dependencies, the entry points; and what is left out of each."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

Contents = Mapping[str, Path | bytes]
"""Name in the bundle -> the file that has its content, or the content."""

ENTRIES = ("main.py", "lambda_handler.py")
"""Of each stage: Google Cloud's and AWS's."""

NOT_OURS = ("cli/*", "devcluster/*", "kustomize/*", "adapters/git/server.py")
"""Of shared/penstock: the command, the demo's cluster and Git server, and the renderer's public face."""

NEVER = (
    *("*/__pycache__/*", "*.pyc", "*.pyi", "*.pth", ".lock", "bin/*"),
    # how it was installed, which differs from machine to machine; what and whose it is stays
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    *("*.dist-info/direct_url.json", "*.dist-info/uv_*.json"),
    # what wheels carry along by mistake
    *("bazel-project/*", "dulwich/tests/*"),
    # libraries of CEL that core/cel does not load: 17 MB
    *("cel_expr_python/ext/ext_bindings.*", "cel_expr_python/ext/ext_math.*", "cel_expr_python/ext/ext_proto.*"),
    # what sigstore's command shows itself with: 8 MB
    *("pygments/*", "rich/*"),
)

AWS_SERVICES = ("dynamodb", "s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts")
"""Whose models botocore keeps: those that adapters call, and sts, with which it finds credentials by itself."""


def ours(root: Path) -> dict[str, Path | bytes]:
    """The package and the entry points of a checkout."""
    package = root / "shared" / "penstock"
    found: dict[str, Path | bytes] = {"penstock/LICENSE": root / "LICENSE"}
    for path in _files(package):
        name = path.relative_to(package).as_posix()
        if path.suffix in {".json", ".py"} and not _matches(name, NOT_OURS):
            found[f"penstock/{name}"] = path
    for entry in ENTRIES:
        found |= {path.relative_to(root).as_posix(): path for path in sorted(root.glob(f"functions/*/{entry}"))}
    return found


def dependencies(directory: Path) -> dict[str, Path | bytes]:
    """What was installed there, without what no function needs."""
    named = ((path.relative_to(directory).as_posix(), path) for path in _files(directory))
    return {name: path for name, path in named if not _matches(name, NEVER) and not _other_service(name)}


def _other_service(name: str) -> bool:
    """``botocore/data/<service>/…``: the files beside those folders are about all services."""
    parts = name.split("/")
    return parts[:2] == ["botocore", "data"] and len(parts) > 3 and parts[2] not in AWS_SERVICES


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
