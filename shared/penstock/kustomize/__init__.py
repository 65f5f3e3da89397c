r"""kustomize in Python: ``build(tree, path, options)`` gives what ``kustomize build`` prints, without a process.

>>> from penstock.core.tree import memory_tree
>>> tree = memory_tree({
...     "app/kustomization.yaml": "namePrefix: my-\nresources: [cm.yaml]\n",
...     "app/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n",
... })
>>> print(build(tree, "app").to_yaml(), end="")
apiVersion: v1
kind: ConfigMap
metadata:
  name: my-settings
"""

from penstock.core.kustomize.build import Build
from penstock.core.kustomize.build import build as _build
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.options import Bounds, BuildOptions
from penstock.core.tree import Tree

__all__ = ["Bounds", "Build", "BuildOptions", "ParseCache", "build"]


def build(tree: Tree, path: str = "", options: BuildOptions | None = None, cache: ParseCache | None = None) -> Build:
    """See core.kustomize.build. Where ``options`` enables Helm and gives none, it is the ``helm`` on the PATH."""
    if options is not None and options.enable_helm and options.helm is None:
        from dataclasses import replace  # noqa: PLC0415 - seldom needed

        from penstock.wiring.helm import helm_of_machine  # noqa: PLC0415 - seldom needed

        options = replace(options, helm=helm_of_machine())
    return _build(tree, path, options, cache)
