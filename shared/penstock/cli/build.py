"""``penstock build PATH``: what ``kustomize build PATH`` does, with its flags, its output and its exit status.

``penstock build kustomization NAME``, two words, is Flux's command of that name (cli/diff/build.py).
"""

import argparse
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError, Refused, Terminal
from penstock.core.kustomize.remote_paths import is_remote
from penstock.core.kustomize.resource import CLUSTER_SCOPE, Resource
from penstock.core.kustomize.yaml_out import dump_one
from penstock.kustomize import Build, BuildOptions, build

if TYPE_CHECKING:
    from penstock.core.helm.chart import Inflater
    from penstock.core.kustomize.remotes import Remotes

_RESTRICTIONS = {"LoadRestrictionsRootOnly": "rootOnly", "LoadRestrictionsNone": "none"}
_REFUSED = (
    "--enable-alpha-plugins", "--enable-exec", "--network", "--as-current-user",
)  # fmt: skip
_REFUSED_VALUES = ("--env", "-e", "--mount", "--network-name")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "build",
        help="build a kustomization, as kustomize build",
        description="Builds the kustomization in a directory and prints its objects as kustomize build does. "
        "`build kustomization NAME` builds --path with the fields of that Kustomization of a plane, as flux does.",
    )
    parser.add_argument(
        "path", nargs="*", metavar="DIR", help="default: the current directory; or the words kustomization NAME"
    )
    parser.add_argument("-o", "--output", default="", help="write to this file, or one file each into this directory")
    parser.add_argument(
        "--load-restrictor",
        choices=tuple(_RESTRICTIONS),
        default="LoadRestrictionsRootOnly",
        help="whether files may be read from outside their kustomization's directory (default: %(default)s)",
    )
    parser.add_argument(
        "--reorder",
        choices=("legacy", "none"),
        default=None,
        help="order the objects by kind (the default, unless sortOptions says otherwise), or keep theirs",
    )
    parser.add_argument("--enable-managedby-label", action="store_true", help="label everything as built by kustomize")
    parser.add_argument(
        "--enable-remote-bases",
        action="store_true",
        help="fetch bases and files that are named by a URL, without a login (default: they are refused)",
    )
    parser.add_argument("--enable-helm", action="store_true", help="inflate helmCharts, with Helm 3 or 4")
    parser.add_argument(
        "--helm-command", default="helm", metavar="COMMAND", help="Helm's binary (default: %(default)s)"
    )
    parser.add_argument(
        "--helm-api-versions",
        action="append",
        default=[],
        metavar="VERSIONS",
        help="API versions of the cluster, for charts that name none (again for more)",
    )
    parser.add_argument(
        "--helm-kube-version", default="", metavar="VERSION", help="the cluster's version, for charts that name none"
    )
    parser.add_argument("--helm-debug", action="store_true", help="show what Helm had rendered where it fails")
    _add_flux_flags(parser)
    for flag in _REFUSED:
        parser.add_argument(flag, dest="plugins", action="append_const", const=flag, help=argparse.SUPPRESS)
    for flag in _REFUSED_VALUES:
        parser.add_argument(flag, dest=f"refused{flag}", default=None, help=argparse.SUPPRESS)


def _add_flux_flags(parser: argparse.ArgumentParser) -> None:
    """Of ``build kustomization NAME``; as in ``penstock diff``, without loading what that needs."""
    group = parser.add_argument_group("of build kustomization NAME")
    group.add_argument("--path", dest="local", default=".", metavar="DIR", help="as for penstock diff")
    group.add_argument("-n", "--namespace", default="flux-system", help="default: %(default)s")
    group.add_argument("--cluster", default="", help="needed where several clusters have it")
    group.add_argument("--kustomization-file", default="", metavar="FILE", help="take the Kustomization from here")
    for flag in ("--url", "--token-file", "--data-dir"):
        group.add_argument(flag, default="", help="where the plane is, as for penstock status")


def run(args: argparse.Namespace) -> int:
    """Build and print. Raises PenstockError for what cannot be built or written."""
    if len(args.path) > 1 and args.path[0] in ("kustomization", "ks"):
        from penstock.cli.diff.build import build_kustomization  # noqa: PLC0415 - it asks a plane: heavy

        return build_kustomization(args)
    if len(args.path) > 1:
        raise Terminal(f"{' '.join(args.path)}: give one directory, or kustomization NAME")
    _check_flags(args)
    result = _built(args)
    for warning in result.warnings:
        print(f"# Warning: {warning}", file=sys.stderr)
    if not args.output:
        sys.stdout.write(result.to_yaml())
        sys.stdout.flush()
        return 0
    try:
        if os.path.isdir(args.output):  # noqa: PTH112 - no pathlib here: see _built
            _write_each(args.output, result.resources)
        else:
            _write(args.output, result.to_yaml())
    except OSError as error:
        raise PenstockError(f"{args.output}: {error.strerror}; the build itself went well") from error
    return 0


def _check_flags(args: argparse.Namespace) -> None:
    refused = list(args.plugins or ())
    refused += [flag for flag in _REFUSED_VALUES if getattr(args, f"refused{flag}") is not None]
    if refused:
        raise Refused(f"{refused[0]}: plugins of others (executables, containers) do not run; remove the flag")


def _built(args: argparse.Namespace) -> Build:
    named = args.path[0] if args.path else "."
    # No Path: the command is to start fast.
    path = named if is_remote(named) else os.path.realpath(named).lstrip("/")
    options = BuildOptions(
        load_restrictions=_RESTRICTIONS[args.load_restrictor],  # type: ignore[arg-type] # one of the two
        reorder=args.reorder or "unspecified",
        managed_by_label=args.enable_managedby_label,
        enable_helm=args.enable_helm,
        helm=_helm(args.helm_command) if args.enable_helm else None,
        helm_api_versions=tuple(args.helm_api_versions),
        helm_kube_version=args.helm_kube_version,
        helm_debug=args.helm_debug,
        policies_in_namespaces=True,  # as the released kustomize that this stands in for
        remotes=_remotes() if args.enable_remote_bases else None,
    )
    try:
        return build(DiskTree("/"), path, options)
    except PenstockError as error:
        # The tree's root is the disk's: say paths as the user would, relative to where the command runs.
        here = os.getcwd().lstrip("/") + "/"  # noqa: PTH109 - as above
        raise type(error)(str(error).replace(here, "")) from error


def _helm(command: str) -> "Inflater":
    from penstock.wiring.helm import helm_of_machine  # noqa: PLC0415 - seldom needed

    return helm_of_machine(command)


def _remotes() -> "Remotes":
    """Whatever this machine reaches, as kustomize would, but without its credentials."""
    from penstock.adapters.clock.system import SystemClock  # noqa: PLC0415 - heavy, and seldom asked for
    from penstock.adapters.downloads.http import HttpDownloads  # noqa: PLC0415 - see above
    from penstock.adapters.git.dulwich import DulwichGit  # noqa: PLC0415 - see above
    from penstock.adapters.registry.distribution import DistributionRegistry  # noqa: PLC0415 - see above
    from penstock.stages.reconcile.remotes import AnonymousRemotes, Checkouts  # noqa: PLC0415 - see above

    ports = (DulwichGit(), DistributionRegistry(), HttpDownloads(), SystemClock())
    return AnonymousRemotes(ports, Checkouts(), None)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - no pathlib here: see _built
        file.write(text)


def _write_each(directory: str, resources: Iterable[Resource]) -> None:
    """One file each, named by kind and name, and by namespace where there are several."""
    found = list(resources)
    namespaces = {one.id.effective_namespace for one in found} - {CLUSTER_SCOPE}
    for resource in found:
        known = resource.id
        parts = [part for part in (known.group, known.version, known.kind, known.name) if part]
        if len(namespaces) > 1 and not known.cluster_scoped:
            parts.insert(0, known.effective_namespace)
        name = "_".join(parts).lower().replace("/", "_")
        _write(f"{directory}/{name}.yaml", dump_one(resource.manifest))
