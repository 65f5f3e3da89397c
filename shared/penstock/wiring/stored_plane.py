"""The Plane document as the records have it now."""

from penstock.core.flux.plane import Plane, parse_plane
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.ports.state import State


class StoredPlane:
    """The Plane as the records have it now, parsed once per version."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._parsed: tuple[str, Plane] | None = None

    def __call__(self) -> Plane | None:
        """None before the first `penstock plane apply`."""
        record = self._state.get(PLANE_KEY)
        if record is None:
            return None
        parsed = self._parsed
        if parsed is None or parsed[0] != record.version:
            parsed = (record.version, parse_plane(PlaneRecord.from_value(record.value).document))
            self._parsed = parsed
        return parsed[1]
