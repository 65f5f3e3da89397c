"""What the operator says of Vaults through the environment (wiring/settings.py)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultSettings:
    """The plane's own token; the namespace of every request; ``ca_file``: PEM, instead of public authorities."""

    token: str = field(default="", repr=False)
    namespace: str = ""
    ca_file: str = ""
