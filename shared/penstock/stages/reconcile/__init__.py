"""The stage that makes a cluster hold what a Kustomization renders: plan, apply, prune, check health, say so."""

from penstock.stages.reconcile.sweep import run

__all__ = ["run"]
