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

from penstock.core.kustomize.build import Build, build
from penstock.core.kustomize.objects import ParseCache
from penstock.core.kustomize.options import Bounds, BuildOptions

__all__ = ["Bounds", "Build", "BuildOptions", "ParseCache", "build"]
