"""An in-process Kubernetes API for the demo and fast tests: not a cluster, and it says so.

A request runs ``server`` (HTTP) -> ``api`` (routes) -> ``reads`` | ``writes`` | ``deletion`` -> ``store``. A write is
``checks`` -> ``decoding`` -> ``defaults`` -> ``managed`` (who owns which field; over ``typed`` and ``fieldpaths``) ->
``preparation`` -> ``rules`` -> ``store``. ``registry`` knows the kinds, ``definitions`` adds those of
CustomResourceDefinitions, ``simulation`` and ``workloads`` stand in for the controllers. Only ``server``, ``store``,
``simulation``, ``metadata`` and ``cluster`` know threads, clocks or chance; the rest is values in, values out.
"""

from penstock.devcluster.cluster import DevCluster

__all__ = ["DevCluster"]
