"""A CycloneDX document for a file of dist/: which distributions are in it, under which licences, who needs whom.

Reproducible: its serial number comes from the file's digest, and it carries no time.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from tools.package.installed import Installed

NAMESPACE = uuid.UUID("6f2c7f5e-2f4b-5f0a-9c1d-7d3f0b6f9f10")
"""Of the serial numbers that digests give (RFC 9562, version 5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The file. ``sha256``: in hex; ``facts``: what it was made for and of, for people."""

    path: Path
    version: str
    sha256: str
    facts: Mapping[str, str]


def write(path: Path, subject: Subject, distributions: Mapping[str, Installed]) -> None:
    """The document of ``subject`` at ``path``."""
    bom = Bom(serial_number=uuid.uuid5(NAMESPACE, subject.sha256))
    whole = _whole(subject)
    parts = {name: _part(each) for name, each in distributions.items()}
    bom.metadata.component = whole
    bom.components.update(parts.values())
    bom.register_dependency(whole, parts.values())
    for name, each in distributions.items():
        bom.register_dependency(parts[name], [parts[other] for other in each.needs if other in parts])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp")  # when it was written would differ each time
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def _whole(subject: Subject) -> Component:
    return Component(
        type=ComponentType.APPLICATION,
        name=subject.path.name,
        version=subject.version,
        bom_ref=subject.path.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.sha256)],
        licenses=[LicenseFactory().make_with_id("Apache-2.0")],
        properties=[Property(name=f"penstock:{name}", value=value) for name, value in subject.facts.items()],
    )


def _part(found: Installed) -> Component:
    purl = PackageURL("pypi", None, found.name, found.version)
    return Component(
        type=ComponentType.LIBRARY,
        name=found.name,
        version=found.version,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(found.licence)] if found.licence else (),
    )
