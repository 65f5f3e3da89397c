"""An in-process Kubernetes API for the demo and fast tests: not a cluster, and it says so."""

from penstock.devcluster.cluster import DevCluster

__all__ = ["DevCluster"]
