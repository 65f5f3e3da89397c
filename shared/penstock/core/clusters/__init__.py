"""Reaching clusters without a stored kubeconfig: where they are, and with which token. Pure.

access.py     what a ConfigMap (or the Plane) says: provider, cluster, address, ca.crt, audiences
endpoints.py  where a cluster can be reached, and which of its addresses is meant
eks.py        Amazon EKS: DescribeCluster, tokens made of a presigned request
gke.py        Google GKE: clusters.get, DNS endpoints, Connect Gateway
aks.py        Azure AKS: listClusterUserCredential
"""
