# reconcile reaches the cluster by its role: an access entry, and the rights of the cluster's own RBAC
# (docs/clusters.md).

resource "aws_eks_access_entry" "reconcile" {
  cluster_name      = element(split("/", var.eks_cluster), 1)
  principal_arn     = module.plane.roles["reconcile"]
  kubernetes_groups = ["penstock"]
}
