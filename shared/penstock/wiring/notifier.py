"""A notifier that reaches what the operator allows now: the environment's hosts and the Plane's policy."""

from collections.abc import Sequence

from penstock.adapters.notifier.http import HttpNotifier
from penstock.core.http import HttpRequest, HttpResponse
from penstock.ports.state import State
from penstock.wiring.stored_plane import StoredPlane


class PolicyNotifier:
    """See ports.notifier. ``always``: hosts allowed whatever the Plane says."""

    def __init__(self, always: Sequence[str], state: State) -> None:
        self._always, self._plane = tuple(always), StoredPlane(state)

    def send(self, request: HttpRequest) -> HttpResponse:
        """See ports.notifier."""
        plane = self._plane()
        return HttpNotifier((*self._always, *(plane.policy.allowed_hosts if plane else ()))).send(request)
