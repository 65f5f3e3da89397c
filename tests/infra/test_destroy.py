"""`terraform destroy` removes the plane, and touches no workload: no module speaks to a cluster, or runs anything."""

import re
from pathlib import Path

import pytest
from tests.infra.hcl import read

INFRA = Path(__file__).parents[2] / "infra" / "terraform"
MODULES = sorted({path.parent for path in INFRA.rglob("*.tf")})
CLUSTERS = re.compile(r"^(kubernetes|helm|kubectl|flux|null|terraform_data|external|local|aws_eks|google_container|google_gke)")
"""What reaches into clusters, or runs programs that could."""


def reaching(module):
    return sorted(f"{kind} {name}" for kind, type_, name in module.resources if CLUSTERS.match(type_))


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.relative_to(INFRA).as_posix())
def test_no_module_has_anything_of_a_cluster(folder):
    assert reaching(read(folder)) == []
    text = "\n".join(path.read_text() for path in folder.glob("*.tf"))
    assert not re.search(r"^\s*(provisioner|provider) \"(?!aws|google)", text, re.MULTILINE)
    assert not re.search(r"local-exec|remote-exec", text)


@pytest.mark.parametrize(
    "text",
    ['resource "kubernetes_namespace" "n" {}', 'resource "null_resource" "n" {}', 'data "aws_eks_cluster_auth" "n" {}'],
)
def test_one_that_had_would_be_seen(tmp_path, text):
    (tmp_path / "main.tf").write_text(text)
    assert len(reaching(read(tmp_path))) == 1
