"""``dependsOn[].readyExpr``: somebody's own words for when a dependency is ready. And: whether expressions are any."""

from typing import Any

from penstock.core.cel.expression import EvaluationFailed, Expression, InvalidExpression, compile_boolean
from penstock.core.flux.kustomization import Dependency, Kustomization
from penstock.core.health.exprs import TERMINAL, health_rules
from penstock.core.records import Condition, KustomizationStatus, ObjectRecord
from penstock.core.resources import Manifest

VARIABLES = ("self", "dep")


def ready_problem(dependency: Dependency, this: Manifest, other: Manifest) -> str:
    """Why a dependency is not ready by its readyExpr, or "". The built-in checks are not made then, as in Flux.

    ``this``, ``other``: the dependent and the dependency, with their status. Raises InvalidExpression (terminal) for
    an expression that cannot be compiled; what fails on these objects is a reason to wait.
    """
    try:
        ready = _compiled(dependency).holds({"self": this, "dep": other})
    except EvaluationFailed as error:
        return f"dependency '{dependency}': {error}"
    return "" if ready else f"dependency '{dependency}' is not ready according to readyExpr eval"


def check_expressions(kustomization: Kustomization) -> None:
    """Raise InvalidExpression for the first of its expressions that can never be evaluated: it is stalled then."""
    health_rules(kustomization.health_check_exprs)
    for dependency in kustomization.depends_on:
        if dependency.ready_expr:
            _compiled(dependency)


def _compiled(dependency: Dependency) -> Expression:
    try:
        return compile_boolean(dependency.ready_expr, VARIABLES)
    except InvalidExpression as error:
        raise InvalidExpression(f"{TERMINAL}: failed to evaluate dependency {dependency.name}: {error}") from error


def with_status(record: ObjectRecord, status: KustomizationStatus, *, revision: str = "") -> dict[str, Any]:
    """A Kustomization as the Kubernetes API would show it under Flux, for expressions.

    ``revision``: what counts as applied, where that is newer than the status says (nothing that it reads has
    changed). ``status.inventory`` and ``status.history`` are left out.
    """
    shown: dict[str, Any] = {"observedGeneration": status.observed_generation or -1}
    revisions = {
        "lastAppliedRevision": revision or status.last_applied_revision,
        "lastAttemptedRevision": status.last_attempted_revision,
        "lastHandledReconcileAt": status.last_handled,
    }
    shown |= {name: value for name, value in revisions.items() if value}
    if status.conditions:
        shown["conditions"] = [_condition(each) for each in status.conditions]
    metadata = {**record.document["metadata"], "generation": record.generation}
    return {**record.document, "metadata": metadata, "status": shown}


def _condition(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.since,
        "observedGeneration": condition.observed_generation,
    }
