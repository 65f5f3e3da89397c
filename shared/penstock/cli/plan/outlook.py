"""Whether a Kustomization would be applied and become ready, told from the renders alone."""

from collections.abc import Mapping, Sequence

from penstock.cli.plan.rehearsal import Section, dependencies
from penstock.core.flux.kustomization import API_GROUP
from penstock.core.health.gate import to_wait_for, unsupported_among
from penstock.core.resources import ref_of


def outlooks(sections: Sequence[Section]) -> Mapping[str, str]:
    """``namespace/name`` -> a sentence for people: "ready to apply", or what it waits on and why that will not do."""
    return {name: text for name, (text, _) in _Outlook(sections).all().items()}


class _Outlook:
    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = {section.ref: section for section in sections}
        self._never: dict[str, str] = {}

    def all(self) -> dict[str, tuple[str, str]]:
        return {name: (self._text(section), self._why_never(name)) for name, section in self._sections.items()}

    def _text(self, section: Section) -> str:
        waits = dependencies(section)
        blocked = [f"{name} ({why})" for name in waits if (why := self._why_never(name))]
        if blocked:
            return f"waits on {', '.join(blocked)}"
        own = self._why_never(section.ref)
        text = f"ready to apply after {', '.join(waits)}" if waits else "ready to apply"
        return f"{text}; will not become ready: {own}" if own and not (section.problem or section.outside) else text

    def _why_never(self, name: str) -> str:
        """Why it cannot become ready as things stand; "" where nothing speaks against it."""
        if name not in self._never:
            self._never[name] = "it waits for itself"  # while it is being looked at
            self._never[name] = self._reason(name)
        return self._never[name]

    def _reason(self, name: str) -> str:
        section = self._sections.get(name)
        if section is None:
            return "there is no such Kustomization"
        if section.problem or section.outside:
            return section.outside or "it cannot be rendered"
        for dependency in dependencies(section):
            if self._why_never(dependency):
                return f"it waits on {dependency}"
        return self._unhealthy(section)

    def _unhealthy(self, section: Section) -> str:
        if section.rendered is None:
            return ""
        parts = section.rendered.parts
        covered = (*section.rendered.apply, *parts.interpreted, *(m for m, _ in parts.unsupported))
        wanted = to_wait_for(section.kustomization, (ref_of(m) for m in covered))
        unsupported = unsupported_among(wanted, (m for m, _ in parts.unsupported))
        if unsupported:
            return f"UnsupportedKind: {', '.join(map(str, unsupported[:3]))}" + (" …" if len(unsupported) > 3 else "")
        for ref in wanted:
            child = f"{ref.namespace}/{ref.name}"
            is_child = (ref.group, ref.kind) == (API_GROUP, "Kustomization") and child in self._sections
            if is_child and (why := self._why_never(child)):
                return f"its child {child} will not: {why}"
        return ""
