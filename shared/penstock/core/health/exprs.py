"""``spec.healthCheckExprs``: CEL expressions that say how a kind is doing, instead of kstatus's rules.

As Flux's ``runtime/cel`` status reader: an entry is for a group and kind, or for a whole group; inProgress, failed and
current are asked in this order, and nothing true is InProgress. What cannot be evaluated is Unknown, until the
timeout. Deletion, ``Stalled`` and ``Ready`` are not looked at for such kinds, only the observed generation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.core.cel.expression import EvaluationFailed, Expression, InvalidExpression, parse
from penstock.core.flux.kustomization import HealthCheckExpr
from penstock.core.health.facts import Health, Status
from penstock.core.health.facts import field as value_at
from penstock.core.health.status import assess
from penstock.core.resources import Manifest, gvk_of

TERMINAL = "Reconciliation failed terminally due to configuration error"
_ALWAYS_BY_RULE = ("batch", "Job")
_ORDER = (("inProgress", Status.IN_PROGRESS), ("failed", Status.FAILED), ("current", Status.CURRENT))


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthRules:
    """How to tell the health of objects: by expressions where a kind has them, else by kstatus's rules.

    ``evaluators``: (group, kind) -> the expressions in the order of asking; kind "" stands for the whole group.
    """

    evaluators: Mapping[tuple[str, str], Sequence[tuple[Status, Expression]]] = field(default_factory=dict)

    def assess(self, manifest: Manifest | None, *, now: datetime | None = None) -> Health:
        """The health of a live object as the API server returned it; the parameters are those of status.assess."""
        expressions = None if manifest is None else self._of(manifest)
        if manifest is None or expressions is None:
            return assess(manifest, now=now)
        return _evaluate(expressions, manifest)

    def covers(self, group: str, kind: str) -> bool:
        """Whether expressions decide for this kind. Flux's own reader of Jobs comes before all expressions."""
        return (group, kind) != _ALWAYS_BY_RULE and bool({(group, kind), (group, "")} & self.evaluators.keys())

    def _of(self, manifest: Manifest) -> Sequence[tuple[Status, Expression]] | None:
        gvk = gvk_of(manifest)
        if not self.covers(gvk.group, gvk.kind):
            return None
        return self.evaluators.get((gvk.group, gvk.kind)) or self.evaluators[gvk.group, ""]


def health_rules(entries: Sequence[HealthCheckExpr]) -> HealthRules:
    """The rules of a Kustomization.

    Raises InvalidExpression (terminal: ``Stalled``) for an expression that cannot be parsed and for two entries of
    one group and kind, with the message that Flux puts into the Ready condition.
    """
    evaluators: dict[tuple[str, str], Sequence[tuple[Status, Expression]]] = {}
    for index, entry in enumerate(entries):
        key = (entry.api_version.rpartition("/")[0], entry.kind)
        if key in evaluators:
            name = f"{key[1]}.{key[0]}" if key[0] else key[1]
            raise InvalidExpression(
                f"{TERMINAL}: duplicate custom health check for GroupKind {name} at healthchecks[{index}]"
            )
        evaluators[key] = _parsed(entry, index)
    return HealthRules(evaluators=evaluators)


def _parsed(entry: HealthCheckExpr, index: int) -> Sequence[tuple[Status, Expression]]:
    texts = {"inProgress": entry.in_progress, "failed": entry.failed, "current": entry.current}
    expressions = []
    for name, status in _ORDER:
        if not texts[name]:
            continue
        try:
            expressions.append((status, parse(texts[name])))
        except InvalidExpression as error:
            place = f"failed to create custom status evaluator for healthchecks[{index}]"
            what = f"failed to parse the expression {name[0].upper()}{name[1:]}"
            raise InvalidExpression(f"{TERMINAL}: {place}: {what}: {error}") from error
    return expressions


def _evaluate(expressions: Sequence[tuple[Status, Expression]], manifest: Mapping[str, Any]) -> Health:
    observed, generation = (
        value_at(manifest, "status", "observedGeneration"),
        value_at(manifest, "metadata", "generation"),
    )
    if _integer(observed) and _integer(generation) and observed != generation:
        return Health(status=Status.IN_PROGRESS)
    for status, expression in expressions:
        try:
            if expression.holds(manifest):
                return Health(status=status)
        except EvaluationFailed as error:
            return Health(status=Status.UNKNOWN, message=str(error))
    return Health(status=Status.IN_PROGRESS)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
