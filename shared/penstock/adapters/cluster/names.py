"""Names that may stand in an API path: an empty one would address all objects of a kind, ``..`` another kind.

https://pkg.go.dev/k8s.io/apimachinery/pkg/api/validation/path#IsValidPathSegmentName
"""

from penstock.ports.cluster import ApiRefused


def path_segment(text: str, field: str, what: object) -> str:
    """``text``, where it is a path segment. Raises ApiRefused (400) naming ``what`` was asked and the field."""
    if text in {"", ".", ".."} or "/" in text or "%" in text:
        problem = f"must not be {text!r}" if text else "is missing"
        raise ApiRefused(f"{what}: {field} {problem}", code=400, causes=((field, problem),))
    return text
