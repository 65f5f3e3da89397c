"""Which Python on which machine a bundle is for, as uv and environment markers name it."""

import re
import sys
from dataclasses import dataclass

GLIBC = "2_28"
"""What the runtimes of both clouds have at least: Amazon Linux 2023 has 2.34, Ubuntu 22.04 has 2.35."""

_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """``python``: ``3.13``; ``arch``: x86_64 or arm64, as the clouds call it. Raises ValueError for others."""

    python: str = "3.13"
    arch: str = "x86_64"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.python):
            raise ValueError(f"the Python version is {self.python!r}: give two numbers, such as 3.13")
        if self.arch not in _MACHINES:
            raise ValueError(f"the architecture is {self.arch!r}: it is x86_64 or arm64")

    @property
    def machine(self) -> str:
        """As ``uname -m`` says."""
        return _MACHINES[self.arch]

    @property
    def platform(self) -> str:
        """As uv calls it (``--python-platform``)."""
        return f"{self.machine}-manylinux_{GLIBC}"

    @property
    def markers(self) -> dict[str, str]:
        """The environment that markers are evaluated in (PEP 508)."""
        return {
            "extra": "",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def here() -> Target:
    """The Python that this runs on."""
    return Target(python=f"{sys.version_info.major}.{sys.version_info.minor}")
