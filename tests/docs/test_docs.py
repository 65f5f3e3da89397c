"""Docs are true: links lead somewhere, commands exist with their flags, YAML is what our parsers take, tables agree."""

import json
import re
import subprocess
import sys
from itertools import product

import pytest
import yaml
from tests.docs import reference, shell
from tests.docs.markdown import DOCS, ROOT, anchors, fences, inline_code, links, table, text_of

from penstock.core.flux.alert import parse_alert
from penstock.core.flux.artifactgenerator import parse_artifact_generator
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.provider import parse_provider
from penstock.core.flux.receiver import parse_receiver

PARSERS = {
    "Alert": parse_alert,
    "ArtifactGenerator": parse_artifact_generator,
    "GitRepository": parse_git_repository,
    "Kustomization": parse_kustomization,
    "Plane": parse_plane,
    "Provider": parse_provider,
    "Receiver": parse_receiver,
}
OTHER_PROGRAMS = {
    *("aws", "cat", "cd", "curl", "docker", "export", "gcloud", "gh", "git", "install", "jq", "journalctl"),
    *("kubectl", "podman", "prometheus", "python", "sed", "sha256sum", "sqlite3", "systemctl", "terraform", "zip"),
}
SHELL = [fence for document in DOCS for fence in fences(document, "sh", "console")]
COMMANDS = [(str(fence), words) for fence in SHELL for words in shell.commands(fence)]


# Links and paths


@pytest.mark.parametrize("document", DOCS)
def test_every_relative_link_resolves(document):
    broken = []
    for link in links(document):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target.relative_to(ROOT).as_posix())):
            broken.append(link)
    assert broken == []


def test_a_broken_link_would_be_seen():
    assert "layers" in anchors("docs/architecture.md")
    assert "specpolicy" in anchors("docs/plane.md")
    assert "no-such-heading" not in anchors("docs/architecture.md")


@pytest.mark.parametrize("document", [doc for doc in DOCS if "decisions" not in doc])
def test_paths_in_the_text_exist(document):
    """`core/messages.py`, `stages/reconcile/{ledger,planning}.py`, `tests/chaos`: from the root or from penstock."""
    missing = []
    for code in inline_code(document):
        path = code.partition("::")[0]
        if re.fullmatch(r"(core|stages|ports|adapters|wiring|cli|tests|functions|examples|shared)/[\w./{},-]+", path):
            missing += [each for each in spelt_out(path) if not is_there(each)]
    assert missing == []


def is_there(path):
    return any((base / path).exists() for base in (ROOT, ROOT / "shared/penstock"))


def spelt_out(path):
    parts = [part.split(",") if index % 2 else [part] for index, part in enumerate(re.split(r"[{}]", path))]
    return ["".join(each) for each in product(*parts)]


# Commands


def test_there_are_commands():
    assert len([words for _, words in COMMANDS if shell.is_penstock(words)]) >= 15


@pytest.mark.parametrize(("where", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_of_a_block_is_one(where, words):
    if shell.is_penstock(words):
        name, *rest = shell.options(words[1:])
        shell.parser_of(name).parse_args([name, *rest])
    elif words[0] == "make":
        given = {word for word in words[1:] if "=" in word}
        assert {word.partition("=")[0] for word in given} <= make_variables(), words
        assert set(words[1:]) - given <= make_targets(), words
    else:
        assert words[0] in OTHER_PROGRAMS, words


@pytest.mark.parametrize(
    "fence", [fence for doc in DOCS for fence in fences(doc, "") if "penstock " in fence.text], ids=str
)
def test_a_synopsis_parses(fence):
    """Blocks without a language that list commands (``[--flag VALUE]``) are true as well."""
    for line in fence.text.splitlines():
        words = line.partition("#")[0].split()
        if shell.is_penstock(words):
            name, *rest = shell.options(words[1:])
            shell.parser_of(name).parse_args([name, *rest])


@pytest.mark.parametrize("document", DOCS)
def test_commands_and_flags_in_the_text_exist(document):
    wrong = []
    for code in inline_code(document):
        words = code.split()
        if words[0] == "make" and len(words) == 2 and words[1] not in make_targets():
            wrong.append(code)
        if not shell.is_penstock(words) or len(words) == 1:
            continue
        if words[1] in shell.cli.COMMANDS:
            known = shell.flags(shell.subparser(shell.parser_of(words[1]), words[1]))
            wrong += [f"{code}: {word}" for word in words[2:] if word.startswith("-") and word not in known]
        elif words[1] not in {"--version", "--help", "COMMAND"}:
            wrong.append(code)
    assert wrong == []


def test_a_wrong_flag_would_be_seen():
    with pytest.raises(SystemExit):
        shell.parser_of("plan").parse_args(["plan", "--sauce", "."])
    assert "--sauce" not in shell.flags(shell.subparser(shell.parser_of("plan"), "plan"))
    assert {"--dry-run", "--file"} <= shell.flags(shell.subparser(shell.parser_of("plane"), "plane"))


def test_the_page_of_commands_is_that_of_the_commands():
    assert text_of(reference.PAGE) == reference.page(), "run `.venv/bin/python -m tests.docs.reference`"


def test_the_page_of_commands_has_every_command():
    listed = re.findall(r"^## penstock ([\w-]+)$", text_of(reference.PAGE), re.MULTILINE)
    helped = subprocess.run(
        [sys.executable, "-m", "penstock.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert listed == re.findall(r"^    ([\w-]+)\b", helped, re.MULTILINE)
    assert listed == list(shell.cli.COMMANDS)


def make_targets():
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def make_variables():
    return set(re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_help_lists_every_target_of_the_docs():
    helped = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  ([a-z-]+) ", helped, re.MULTILINE))
    named = {name for doc in DOCS for name in re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(code_of(doc)))}
    assert named >= {"demo", "test", "tools", "lint", "bench"}
    assert named <= listed


def code_of(document):
    return [*inline_code(document), *(fence.text for fence in fences(document, "sh", "console"))]


# YAML


def yaml_documents():
    for fence in (fence for document in DOCS for fence in fences(document)):
        texts = (
            [fence.text]
            if fence.language in {"yaml", "yml"}
            else re.findall(r"<<'?YAML'?\n(.*?)\nYAML$", fence.text, re.DOTALL | re.MULTILINE)
        )
        for text in texts:
            for document in yaml.safe_load_all(text):
                if isinstance(document, dict) and document.get("kind") in PARSERS:
                    yield f"{fence} {document['kind']}", document


YAML = list(yaml_documents())


def test_there_is_yaml():
    assert {name.rpartition(" ")[2] for name, _ in YAML} >= {"Plane", "GitRepository", "Receiver", "Alert", "Provider"}


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in YAML])
def test_every_document_is_what_its_parser_takes(document):
    PARSERS[document["kind"]](document)


@pytest.mark.parametrize("fence", [fence for doc in DOCS for fence in fences(doc, "json")], ids=str)
def test_json_is_json(fence):
    assert json.loads(fence.text)


# Tables and pages


def test_the_stage_table_is_the_topology():
    topology = json.loads((ROOT / "shared/penstock/pipeline.json").read_text())["stages"]
    rows = {row[0]: row for row in table("README.md", "stage", "trigger", "publishes")}
    assert list(rows) == list(topology)
    for name, stage in topology.items():
        trigger = {"http": "HTTP", "schedule": "schedule"}.get(stage["trigger"], ", ".join(stage["subscribes"]))
        assert rows[name][1:3] == [trigger, ", ".join(stage["publishes"])], name
        assert f"functions/{name}/main.py" in rows[name][3]


def test_the_folder_table_names_folders():
    for folder, _ in table("README.md", "folder", "what"):
        path = folder.strip("`").replace("<stage>", "fetch")
        assert (ROOT / path).exists(), folder


def test_the_changelog_has_a_section_that_is_not_released_yet():
    sections = re.findall(
        r"^## (\d+\.\d+\.\d+)(?: \((unreleased|\d{4}-\d{2}-\d{2})\))?$", text_of("CHANGELOG.md"), re.MULTILINE
    )
    assert sections
    assert sections[0][1] == "unreleased"
    assert all(when for _, when in sections)


def test_every_page_is_linked_from_somewhere():
    linked = {
        ((ROOT / document).parent / link.partition("#")[0]).resolve()
        for document in DOCS
        for link in links(document)
        if not re.match(r"[a-z]+:", link)
    }
    pages = {(ROOT / "docs").joinpath(path).resolve() for path in (ROOT / "docs").glob("*.md")}
    assert pages - linked == set()


def test_decisions_are_numbered_one_by_one():
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.parametrize("document", DOCS)
def test_lines_are_short_enough_to_review(document):
    """Tables and blocks may be longer: they cannot be folded."""
    text = re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)
    long = [line for line in text.splitlines() if len(line) > 150 and not line.startswith("|")]
    assert [line for line in long if document != reference.PAGE] == []  # descriptions of commands come in one line
