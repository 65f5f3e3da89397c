"""A plane whose own source is reached over SSH, with the operator's key: from a commit to the store's record."""

import shutil

import pytest
from tests.contract.git_remotes import ServedRemote
from tests.contract.git_ssh import SshServer
from tests.memory_plane import MemoryPlane

from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.server import GitServer
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_records import plane_records
from penstock.core.messages import PLANE, SourceChanged
from penstock.core.records import SourceStatus, status_key
from penstock.core.secrets.names import FETCH, secret_name
from penstock.stages.fetch import run

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it"),
]


def test_the_planes_own_source_over_ssh(tmp_path):
    plane = MemoryPlane()
    with GitServer(tmp_path) as server, SshServer(tmp_path) as ssh:
        commit = ServedRemote(server).commit({"clusters/prod/a.yaml": b"a: 1\n"})
        document = {
            "apiVersion": "penstock.dev/v1alpha1",
            "kind": "Plane",
            "metadata": {"name": "test"},
            "spec": {
                "source": {"url": f"ssh://git@127.0.0.1:{ssh.port}/fleet.git", "secretRef": {"name": "deploy-key"}},
                "clusters": [{"name": "prod", "path": "clusters/prod"}],
            },
        }
        existing = {record.key: record.value for record in plane.state.list("")}
        for key, value in plane_records(parse_plane(document), document, "f" * 32, existing).writes.items():
            found = plane.state.get(key)
            plane.state.put(key, value, expected=found.version if found else None)
        plane.secrets.put(secret_name(FETCH, PLANE, "flux-system", "deploy-key"), ssh.secret, owner="f" * 32)
        deps = type(plane.deps)(
            **{name: getattr(plane.deps, name) for name in plane.deps.__dataclass_fields__} | {"git": DulwichGit()}
        )
        run(SourceChanged(cluster=PLANE, kind="GitRepository", namespace="flux-system", name="flux-system"), deps)
    held = SourceStatus.from_value(
        plane.state.get(status_key(PLANE, "GitRepository", "flux-system", "flux-system")).value
    )
    assert held.revision == f"main@sha1:{commit}", held.conditions
