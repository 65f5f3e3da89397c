"""What every adapter of the registry port promises: in memory, and over HTTP against a real registry."""

import gzip
import io
import tarfile

import pytest
from tests.contract.registries import (
    BASIC,
    INDEX_TYPE,
    MANIFEST_TYPE,
    PASSWORD,
    MemoryServer,
    RealServer,
    login,
    missing,
)

from penstock.adapters.registry.memory import FLUX_LAYER, archive, manifest_of
from penstock.core.errors import NotFound, Refused, Terminal
from penstock.ports.registry import PullLimits

FILES = {"a.yaml": b"a: 1\n", "apps/base/b.yaml": b"b: 1\n" * 500, "empty": b""}
LIMITS = PullLimits()
REAL = pytest.param("real", marks=pytest.mark.real)


def server(kind, folder, *, private=False):
    if kind == "memory":
        return MemoryServer(private=private)
    if missing():
        pytest.skip(missing())
    return RealServer(folder, private=private)


@pytest.fixture(params=["memory", REAL])
def served(request, tmp_path):
    found = server(request.param, tmp_path)
    if request.param == "memory":
        yield found
    else:
        with found:
            yield found


@pytest.fixture(params=["memory", REAL])
def private(request, tmp_path):
    found = server(request.param, tmp_path, private=True)
    if request.param == "memory":
        yield found
    else:
        with found:
            yield found


def pulled(served, digest, *, media_type="", limits=LIMITS, **more):
    return served.registry.pull(served.image(**more), digest, media_type=media_type, limits=limits)


def files(tree):
    return {path: found.data for path, found in tree.items()}


def tarball(*members):
    """(name, type, data) each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname, member.mode = kind, len(data), "/etc/passwd", 0o755
            made.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def test_a_tag_gives_a_digest_and_that_the_files(served):
    digest = served.push("1.0.0", FILES, {"org.opencontainers.image.revision": "main@sha1:1"})
    assert served.registry.digest(served.image(), "1.0.0") == digest
    found = pulled(served, digest)
    assert files(found.tree) == FILES
    assert found.annotations["org.opencontainers.image.revision"] == "main@sha1:1"


def test_a_tag_moves_and_the_old_digest_stays(served):
    before = served.push("latest", FILES)
    after = served.push("latest", {"a.yaml": b"a: 2\n"})
    assert served.registry.digest(served.image(), "latest") == after != before
    assert files(pulled(served, before).tree) == FILES


def test_every_tag_is_listed_over_all_pages(served):
    digests = {served.push(f"1.0.{number}", {"a": str(number % 3).encode()}) for number in range(120)}
    assert len(digests) == 3
    assert sorted(served.registry.tags(served.image())) == sorted(f"1.0.{number}" for number in range(120))


@pytest.mark.parametrize("what", ["tag", "repository", "digest"])
def test_what_is_not_there_is_not_found(served, what):
    served.push("1.0.0", FILES)
    asked = {
        "digest": lambda: pulled(served, "sha256:" + "0" * 64),
        "tag": lambda: served.registry.digest(served.image(), "2.0.0"),
        "repository": lambda: served.registry.digest(served.image(repository="acme/none"), "1.0.0"),
    }
    with pytest.raises(NotFound):
        asked[what]()


def test_a_layer_is_chosen_by_its_media_type(served):
    one, other = served.blob(archive({"one": b"1"})), served.blob(archive({"other": b"2"}))
    manifest = manifest_of(one, {})
    manifest["layers"].append({"mediaType": "application/x.other", "digest": other[0], "size": other[1]})
    digest = served.manifest("two", manifest)
    assert files(pulled(served, digest).tree) == {"one": b"1"}
    assert files(pulled(served, digest, media_type="application/x.other").tree) == {"other": b"2"}
    with pytest.raises(Terminal, match=r"failed to find layer with media type 'application/x\.none' in artifact"):
        pulled(served, digest, media_type="application/x.none")


def test_of_an_index_the_image_for_linux_amd64_is_taken(served):
    def entry(architecture, tag, files):
        digest = served.push(tag, files)
        size = len(files_manifest(served, files))
        platform = {"os": "linux", "architecture": architecture}
        return {"mediaType": MANIFEST_TYPE, "digest": digest, "size": size, "platform": platform}

    entries = [entry("arm64", "arm", {"arm": b""}), entry("amd64", "amd", {"amd": b""})]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    digest = served.manifest("both", index)
    assert served.registry.digest(served.image(), "both") == digest
    assert files(pulled(served, digest).tree) == {"amd": b""}


def files_manifest(served, content):
    import json

    return json.dumps(manifest_of(served.blob(archive(content)), {})).encode()


def test_only_regular_files_come_out(served):
    data = tarball(
        ("./run.sh", tarfile.REGTYPE, b"#!"),
        ("link", tarfile.SYMTYPE, b""),
        ("hard", tarfile.LNKTYPE, b""),
        ("fifo", tarfile.FIFOTYPE, b""),
        ("dir", tarfile.DIRTYPE, b""),
    )
    tree = pulled(served, served.manifest("x", manifest_of(served.blob(data), {}))).tree
    assert files(tree) == {"run.sh": b"#!"}
    assert tree.read("run.sh").executable


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"no archive", "no gzipped tarball"),
        (gzip.compress(b"no tar, but long enough" * 100, mtime=0), "no gzipped tarball"),
        (archive(FILES)[:-40], "no gzipped tarball"),
        (tarball(("../out", tarfile.REGTYPE, b"")), "leads outside"),
        (tarball(("/etc/passwd", tarfile.REGTYPE, b"")), "leads outside"),
        (tarball(("a", tarfile.REGTYPE, b""), ("a/b", tarfile.REGTYPE, b"")), "as file and as directory"),
    ],
    ids=["text", "zipped text", "cut short", "climbs", "absolute", "file and directory"],
)
def test_what_is_no_honest_archive_is_refused(served, data, told):
    digest = served.manifest("x", manifest_of(served.blob(data), {}))
    with pytest.raises(Terminal, match=told):
        pulled(served, digest)


@pytest.mark.parametrize("limits", [PullLimits(files=2), PullLimits(bytes=1000, files=1)])
def test_limits_hold_whatever_the_headers_promise(served, limits):
    digest = served.push("x", {"a": b"", "b": b"", "big": bytes(1_000_000)})
    with pytest.raises(Terminal, match=r"limit|more than"):
        pulled(served, digest, limits=limits)


def test_a_private_repository_wants_its_login(private):
    digest = private.push("1.0.0", FILES)
    assert files(pulled(private, digest, login=login(private.host)).tree) == FILES
    assert private.registry.tags(private.image(login=login(private.host))) == ("1.0.0",)
    for wrong in ({}, login("other.example.com"), login(private.host, "d3Jvbmc6d3Jvbmc=")):
        with pytest.raises(Refused) as caught:
            private.registry.digest(private.image(login=wrong), "1.0.0")
        assert caught.value.reason == "AuthenticationFailed"
        assert PASSWORD not in str(caught.value)
        assert BASIC not in str(caught.value)


@pytest.mark.real
def test_a_private_address_is_not_reached_unless_the_operator_allows_it(tmp_path):
    with server("real", tmp_path) as served:
        served.push("1.0.0", FILES)
        with pytest.raises(Refused, match=r"policy\.allowedHosts"):
            served.registry.digest(served.image(allowed_hosts=()), "1.0.0")


@pytest.mark.real
def test_what_skopeo_copies_is_the_same_artifact(tmp_path):
    import shutil
    import subprocess

    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    with server("real", tmp_path) as served:
        digest = served.push("1.0.0", FILES)
        flags = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "-q"]
        names = [f"docker://{served.host}/acme/fleet:{tag}" for tag in ("1.0.0", "2.0.0")]
        subprocess.run(["skopeo", *flags, *names], check=True, timeout=60)
        assert served.registry.digest(served.image(), "2.0.0") == digest
        assert FLUX_LAYER


def attach(served, digest, media, data, *, annotations=None, tag="", artifact=""):
    """Push a signature: under Cosign's tag, or as a manifest whose subject the digest is. Its entry in an index."""
    blob, size = served.blob(data)
    manifest = manifest_of((blob, size), {}, media)
    manifest["layers"][0]["annotations"] = annotations or {}
    if artifact:
        manifest |= {"artifactType": artifact, "subject": {"mediaType": MANIFEST_TYPE, "digest": digest, "size": 2}}
    pushed = served.manifest(tag or f"signature-{len(data)}", manifest)
    return {"mediaType": MANIFEST_TYPE, "digest": pushed, "size": 2, "artifactType": artifact}


def referred(served, digest, *entries):
    """The index that stands in for the referrers API, where a registry has none (distribution 2 has none)."""
    served.manifest(digest.replace(":", "-"), {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(entries)})


BUNDLE_TYPE, NOTARY_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.cncf.notary.signature"
SIMPLE_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"


def test_signatures_are_found_beside_a_digest_each_kind_by_itself(served):
    digest = served.push("1.0.0", FILES)
    other = served.push("2.0.0", {"b.yaml": b""})
    attach(served, digest, SIMPLE_TYPE, b"{1}", annotations={"k": "v"}, tag=digest.replace(":", "-") + ".sig")
    referred(
        served,
        digest,
        attach(served, digest, BUNDLE_TYPE, b"{22}", artifact=BUNDLE_TYPE),
        attach(served, digest, "application/jose+json", b"{333}", artifact=NOTARY_TYPE),
        attach(served, digest, "text/spdx", b"{4444}", artifact="text/spdx"),
    )
    found = served.registry.signatures(served.image(), digest, "cosign")
    assert [(each.media_type, each.data, dict(each.annotations)) for each in found] == [
        (BUNDLE_TYPE, b"{22}", {}),
        (SIMPLE_TYPE, b"{1}", {"k": "v"}),
    ]
    notary = served.registry.signatures(served.image(), digest, "notation")
    assert [(each.media_type, each.data) for each in notary] == [("application/jose+json", b"{333}")]
    for kind in ("cosign", "notation"):
        assert served.registry.signatures(served.image(), other, kind) == ()


def test_a_signature_that_is_too_large_is_left_out_and_the_others_are_found(served):
    digest = served.push("1.0.0", FILES)
    entries = [
        attach(served, digest, BUNDLE_TYPE, data, artifact=BUNDLE_TYPE) for data in (b"{}", b"x" * (1024 * 1024 + 1))
    ]
    referred(served, digest, *entries)
    assert [each.data for each in served.registry.signatures(served.image(), digest, "cosign")] == [b"{}"]


def test_more_signatures_than_the_bound_are_not_read(served):
    digest = served.push("1.0.0", FILES)
    layer = manifest_of(served.blob(b"{}"), {}, SIMPLE_TYPE)
    layer["layers"] = layer["layers"] * 60
    served.manifest(digest.replace(":", "-") + ".sig", layer)
    assert len(served.registry.signatures(served.image(), digest, "cosign")) == 50


def test_signatures_need_the_login_as_well(private):
    digest = private.push("1.0.0", FILES)
    with pytest.raises(Refused) as caught:
        private.registry.signatures(private.image(), digest, "cosign")
    assert caught.value.reason == "AuthenticationFailed"
    assert private.registry.signatures(private.image(login=login(private.host)), digest, "cosign") == ()
