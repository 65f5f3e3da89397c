"""Remote bases over HTTP from a real Git server, and files from a real web server: the bytes of the real kustomize."""

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.compat.test_kustomize_oracle import COMMAND, REASON
from tests.contract.git_remotes import ServedRemote

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.downloads.http import HttpDownloads
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.server import GitServer
from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError
from penstock.kustomize import BuildOptions, build
from penstock.stages.reconcile.remotes import AnonymousRemotes, Checkouts

pytestmark = [
    pytest.mark.skipif(COMMAND is None, reason=REASON),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: install it"),
]

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        envFrom:
        - configMapRef: {name: settings}
"""
BASE = """\
resources: [deployment.yaml]
configMapGenerator:
- name: settings
  files: [settings.txt]
"""
FILES = {
    "base/kustomization.yaml": BASE,
    "base/deployment.yaml": DEPLOYMENT,
    "base/settings.txt": "a\n",
    "overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: far-\n",
    "outside/kustomization.yaml": "resources: [../base/deployment.yaml]\n",
    "away/kustomization.yaml": "resources: [../../base]\n",
    "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
    "kustomization.yaml": "resources: [base]\nnameSuffix: -root\n",
}
WEB = {
    "/deployment.yaml": DEPLOYMENT,
    "/patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
    "/settings.env": "A=1\nB=2\n",
    "/crd.json": '{"github.com/x.Mine": {"Schema": {"properties": {"spec": {"properties": {"ref": {"type": "string",'
    '"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap"}}}}}}}',
    "/config.yaml": "namePrefix:\n- path: metadata/name\n- path: spec/title\n",
    "/replacement.yaml": "source: {kind: Deployment, name: web, fieldPath: metadata.name}\n"
    "targets:\n- select: {kind: Deployment}\n  fieldPaths: [metadata.labels.who]\n  options: {create: true}\n",
    "/transformer.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: net-\n"
    "fieldSpecs: [{path: metadata/name}]\n",
    "/schema.json": '{"definitions": {"v1.Mine": {"properties": {"items": {"type": "array", "x-kubernetes-patch-merge-key":'
    '"name", "x-kubernetes-patch-strategy": "merge", "items": {"type": "object"}}}, "x-kubernetes-group-version-kind":'
    '[{"group": "example.com", "kind": "Mine", "version": "v1"}]}}}',
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        found = WEB.get(self.path.partition("?")[0])
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write((found or "not here").encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        served = ServedRemote(server, "org/fleet")
        first = served.commit({path: text.encode() for path, text in FILES.items()})
        served.point("refs/tags/v1", first)
        changed = {**FILES, "base/settings.txt": "b\n"}
        served.commit({path: text.encode() for path, text in changed.items()}, subject="second")
        served.point("refs/heads/old", first)
        served.first = first
        yield served


def theirs(root):
    ran = subprocess.run([*COMMAND, str(root)], capture_output=True, text=True, timeout=120, check=False)
    return ran.stdout if ran.returncode == 0 else None


def ours(root):
    remotes = AnonymousRemotes(
        (DulwichGit(), DistributionRegistry(), HttpDownloads(), SystemClock()), Checkouts(), None
    )
    try:
        return build(DiskTree(root), "", BuildOptions(remotes=remotes))
    except PenstockError as error:
        return error


def compared(tmp_path, kustomization, files=()):
    (tmp_path / "kustomization.yaml").write_text(kustomization)
    for name, text in dict(files).items():
        (tmp_path / name).write_text(text)
    expected, built = theirs(tmp_path), ours(tmp_path)
    assert (None if isinstance(built, PenstockError) else built.to_yaml()) == expected
    return built


@pytest.mark.parametrize(
    "path", ["", "//base", "/base", "//overlay", "//base?ref=v1", "/overlay?ref=old", "//base?version=v1&timeout=20s"]
)
@pytest.mark.parametrize("metadata", ["", "buildMetadata: [originAnnotations, transformerAnnotations]\n"])
def test_a_base_in_a_repository(tmp_path, repository, path, metadata):
    built = compared(tmp_path, f"resources: ['{repository.url}{path}']\nnamePrefix: near-\n{metadata}")
    assert len(built.resources) == 2
    assert [pin.url for pin in built.remotes] == [repository.url]


def test_a_base_at_a_commit_is_pinned_and_says_nothing(tmp_path, repository):
    built = compared(tmp_path, f"resources: ['{repository.url}//base?ref={repository.first}']\n")
    assert built.remotes[0].commit == repository.first
    assert built.warnings == ()


def test_a_component_and_a_base_of_one_repository_are_one_fetch(tmp_path, repository):
    text = f"resources: ['git::{repository.url}//base?ref=v1']\ncomponents: ['{repository.url}//component?ref=v1']\n"
    built = compared(tmp_path, text)
    assert len(built.remotes) == 1


@pytest.mark.parametrize(
    "path", ["//outside", "//away", "//none", "//base/deployment.yaml", "//base?ref=gone", "//component"]
)
def test_what_kustomize_does_not_read_is_not_read_here(tmp_path, repository, path):
    assert isinstance(compared(tmp_path, f"resources: ['{repository.url}{path}']\n"), PenstockError)


def test_a_repository_that_is_not_there(tmp_path, repository):
    assert isinstance(compared(tmp_path, f"resources: ['{repository.server.url('none')}//base']\n"), PenstockError)


def test_a_repository_that_names_itself_is_a_cycle(tmp_path, repository):
    files = {**FILES, "kustomization.yaml": f"resources: ['{repository.url}?ref=loop']\n"}
    head = repository.commit({path: text.encode() for path, text in files.items()}, ref="refs/heads/loop")
    repository.point("refs/heads/loop", head)
    error = compared(tmp_path, f"resources: ['{repository.url}?ref=loop']\n")
    assert "cycle detected" in str(error)


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: ['{web}/deployment.yaml']\nnamePrefix: a-\n",
        "resources: [deployment.yaml]\npatches: [{path: '{web}/patch.yaml'}]\n",
        "resources: [deployment.yaml]\npatchesStrategicMerge: ['{web}/patch.yaml']\n",
        "resources: [deployment.yaml]\nconfigMapGenerator: [{name: settings, envs: ['{web}/settings.env']}]\n",
        "resources: [deployment.yaml]\nconfigMapGenerator: [{name: settings, files: ['{web}/settings.env']}]\n",
        "resources: [deployment.yaml]\nconfigMapGenerator: [{name: settings, files: ['k={web}/settings.env']}]\n",
        "resources: [mine.yaml]\nconfigurations: ['{web}/config.yaml']\nnamePrefix: p-\n",
        "resources: [mine.yaml]\ncrds: ['{web}/crd.json']\nnamePrefix: p-\n",
        "resources: [mine.yaml]\nopenapi: {path: '{web}/schema.json'}\npatches: [{path: mine-patch.yaml}]\n",
        "resources: [deployment.yaml]\nreplacements: [{path: '{web}/replacement.yaml'}]\n",
        "resources: [deployment.yaml]\ntransformers: ['{web}/transformer.yaml']\n",
        "resources: ['{web}/deployment.yaml?token=x']\nbuildMetadata: [originAnnotations]\n",
        "resources: ['{web}/a/b/none.yaml']\n",
        "resources: ['{web}/config.yaml']\n",
        "resources: [deployment.yaml]\npatches: [{path: '{web}/none.yaml'}]\n",
    ],
)
def test_a_file_over_http(tmp_path, web, kustomization):
    files = {
        "deployment.yaml": DEPLOYMENT,
        "mine.yaml": "apiVersion: example.com/v1\nkind: Mine\nmetadata: {name: m}\n"
        "spec: {title: t, ref: settings}\nitems: [{name: a, x: 1}]\n",
        "mine-patch.yaml": "apiVersion: example.com/v1\nkind: Mine\nmetadata: {name: m}\nitems: [{name: a, y: 2}]\n",
    }
    text = kustomization.replace("{web}", web)
    built = compared(tmp_path, text, files)
    assert isinstance(built, PenstockError) == ("none" in text or "['" + web + "/config" in text.split("\n")[0])
    assert "token" not in str(getattr(built, "remotes", ""))
