"""The stage that people and their tools ask: reconcile, plan, suspend, resume, approve and status on demand."""

from penstock.stages.api.run import TOKEN_SECRET, run, settle

__all__ = ["TOKEN_SECRET", "run", "settle"]
