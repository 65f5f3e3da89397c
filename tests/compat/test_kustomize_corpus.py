"""Public repositories rendered by kustomize 5.8.1: the same bytes for every directory that builds.

The data stands outside the repository (PENSTOCK_CORPUS names the directory of its archives).
"""

import json
import os
import posixpath
import tarfile
from pathlib import Path

import pytest
import yaml

from penstock.core.errors import PenstockError
from penstock.core.tree import MemoryTree, blob
from penstock.kustomize import BuildOptions, ParseCache, build

CORPUS = Path(os.environ.get("PENSTOCK_CORPUS", "/work/shared/corpus"))
ARCHIVE = CORPUS / "kustomize-corpus.tar.xz"
FLEETS = CORPUS / "fleets.tar.xz"
VARIANTS = (("cases.json", "expected", "rootOnly"), ("cases_norestrict.json", "expected_norestrict", "none"))


def repositories(archive):
    """The files of each repository of an archive, by name; a link to a file is that file."""
    if not archive.is_file():
        pytest.skip(f"no {archive}: set PENSTOCK_CORPUS")
    found, links = {}, []
    with tarfile.open(archive) as opened:
        for member in opened:
            name, _, path = member.name.removeprefix("./").partition("/")
            if member.isfile():
                found.setdefault(name, {})[path] = opened.extractfile(member).read()
            elif member.issym():
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
                links.append((name, path, target))
    for name, path, target in links:
        if target in found[name]:
            found[name][path] = found[name][target]
    return {name: files for name, files in found.items() if "/" in "".join(files)}


@pytest.fixture(scope="module")
def corpus():
    return repositories(ARCHIVE)


def cases(corpus):
    """Every directory that was tried: (repository, directory, tree, options, expected bytes or None, cache)."""
    for name, files in corpus.items():
        tree = MemoryTree({path[5:]: blob(data) for path, data in files.items() if path.startswith("tree/")})
        cache = ParseCache()
        for listing, folder, restrictions in VARIANTS:
            for case in json.loads(files.get(listing, b"[]")):
                directory = "" if case["dir"] == "." else case["dir"]
                expected = files.get(f"{folder}/{directory.replace('/', '__') or '_root'}.yaml")
                # The corpus was rendered by a version that took these cluster-scoped kinds for namespaced.
                options = BuildOptions(load_restrictions=restrictions, policies_in_namespaces=True)
                yield f"{name} {case['dir']}", tree, directory, options, expected if case["ok"] else None, cache


def test_every_directory_renders_byte_for_byte(corpus):
    differing, number = [], 0
    for name, tree, directory, options, expected, cache in cases(corpus):
        number += 1
        try:
            rendered = build(tree, directory, options, cache).to_yaml().encode()
            problem = "differs"
        except PenstockError as error:
            rendered, problem = None, str(error)
        if rendered != expected:
            differing.append(f"{name}: {problem}")
    assert differing == []
    assert number > 700


def test_a_changed_input_that_changes_the_output_was_recorded(corpus):
    """Whatever file is removed or damaged: if the output changes, the file was among the inputs."""
    checked = 0
    for name, tree, directory, options, expected, _ in cases(corpus):
        if expected is None or len(name) % 7:  # a sample
            continue
        recorded = build(tree, directory, options).inputs
        files = dict(tree.items())
        near = [path for path in files if path.startswith(directory)][:12]
        for path in near:
            changed = MemoryTree({**files, path: blob(b"apiVersion: v1\nkind: X\nmetadata: {name: x}\n")})
            try:
                output = build(changed, directory, options).to_yaml().encode()
            except PenstockError:
                output = None
            checked += 1
            if output != expected:
                assert path in recorded.files, (name, path)
                assert recorded.digest(changed) != recorded.digest(tree)
    assert checked > 100


def test_every_fleet_renders_as_flux_would():
    """What each Flux Kustomization of the fleets points at, with what its spec adds."""
    rendered, unexpected = 0, []
    for files in repositories(FLEETS).values():
        tree = MemoryTree({path: blob(data) for path, data in files.items()})
        cache = ParseCache()
        for file, spec in flux_kustomizations(files):
            path = str(spec.get("path") or "").removeprefix("./").strip("/")
            if not path or not tree.is_dir(path):
                continue
            try:
                build(tree, path, flux_options(spec), cache)
                rendered += 1
            except PenstockError as error:
                unexpected += [] if is_expected(str(error)) else [f"{file} {path}: {error}"]
    assert unexpected == []
    assert rendered > 250


def flux_kustomizations(files):
    for file, data in files.items():
        if b"kustomize.toolkit.fluxcd.io" in data and file.endswith((".yaml", ".yml")):
            try:
                documents = list(yaml.load_all(data, Loader=yaml.CSafeLoader))
            except yaml.YAMLError:  # a template
                continue
            yield from (
                (file, one.get("spec") or {})
                for one in documents
                if isinstance(one, dict)
                and one.get("kind") == "Kustomization"
                and "kustomize.toolkit" in str(one.get("apiVersion"))
            )


def flux_options(spec):
    fields = ("patches", "components", "images", "namePrefix", "nameSuffix", "buildMetadata")
    overlay = {field: spec[field] for field in fields if spec.get(field)}
    if spec.get("targetNamespace"):
        overlay["namespace"] = spec["targetNamespace"]
    return BuildOptions.flux(overlay, ignore_missing_components=bool(spec.get("ignoreMissingComponents")))


def is_expected(message):
    """The archives leave out the files that are no YAML; one file of a fleet lost its kind."""
    return "no such file" in message or "replicationsource.yaml, document 0: missing kind" in message
