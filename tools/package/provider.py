"""What differs between the bundles of the two clouds."""

from dataclasses import dataclass
from pathlib import PurePosixPath

MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """``unzipped``, ``zipped``: bytes, 0 where the cloud sets no limit.

    More than ``unzipped`` is refused by the cloud, more than ``zipped`` only travels through a bucket. ``command``: the
    distribution that the cloud's own build must find in requirements.txt, or "". ``compiles``: whether that build
    compiles the sources, whatever the bundle has. ``oldest``: of the cloud's Pythons, the first whose machine has what
    the wheels need.
    """

    name: str
    unzipped: int = 0
    zipped: int = 0
    command: str = ""
    compiles: bool = False
    oldest: str = "3.11"

    @property
    def lock(self) -> PurePosixPath:
        """From the root of the repository."""
        return PurePosixPath("requirements") / f"{self.name}.lock"


AWS = Provider(name="aws", unzipped=250 * MB, zipped=50 * MB, oldest="3.12")
"""Lambda's python3.11 runs on Amazon Linux 2 with glibc 2.26, for which cel-expr-python has no wheel."""

GOOGLE = Provider(name="google", command="functions-framework", compiles=True)
"""Cloud Run functions set no limit to their source; those of the first generation did."""

PROVIDERS = {each.name: each for each in (AWS, GOOGLE)}
