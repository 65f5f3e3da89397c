"""docs/api.md: every curl command is sent to the api stage and gets the status that stands behind it."""

import json
import re
import shlex
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from tests.docs.markdown import fences, table, text_of
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.core.http import HttpRequest
from penstock.stages import api
from penstock.stages.api.actions import approve, reconcile, resume, suspend
from penstock.stages.api.run import _ACTIONS
from penstock.wiring.http import answer
from penstock.wiring.topology import load_pipeline

TOKEN = "t0ken"
URL = "http://127.0.0.1:9292"


@pytest.fixture(scope="module")
def plane():
    plane = MemoryPlane()
    plane.push(
        {
            "clusters/prod/apps.yaml": kustomization("apps", "./apps"),
            "apps/namespace.yaml": namespace("apps"),
            "apps/config.yaml": config_map("web", colour="blue"),
        }
    )
    plane.settle()
    return plane


def examples():
    lines = "".join(fence.text for fence in fences("docs/api.md", "sh")).splitlines()
    return [line for line in lines if line.startswith("curl ")]


def requested(line):
    """The request of a curl command, and the status that its comment promises."""
    command, _, status = line.rpartition("#")
    words = shlex.split(command.replace("$TOKEN", TOKEN).replace("$URL", URL))[1:]
    headers, body, method, url = {}, None, "", ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name.lower()] = value
        elif word == "-d":
            body = words.pop(0)
        elif word == "-X":
            method = words.pop(0)
        else:
            assert not url, word
            url = word
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == URL
    method = method or ("GET" if body is None else "POST")
    body = (body or "").replace('"production"', '"prod"').encode()
    return HttpRequest(method=method, path=parts.path, query=parts.query, headers=headers, body=body), int(status)


def test_every_example_is_answered_as_the_page_says(plane):
    secrets = MemorySecrets({api.TOKEN_SECRET: {"token": TOKEN.encode()}})
    deps, stage = replace(plane.deps, secrets=secrets), load_pipeline().stage("api")
    assert len(examples()) >= 10
    seen = set()
    for line in examples():
        request, status = requested(line)
        found = answer(stage, request, deps, plane.bus)
        assert found.status == status, (line, found.body)
        seen.add((request.path, found.status))
    assert {path for path, _ in seen} >= {"/status", "/reconcile", "/suspend", "/resume"}


def test_every_route_is_listed():
    listed = " ".join(row[0] for row in table("docs/api.md", "request", "body", "answer"))
    assert set(re.findall(r"POST (/\w+)", listed)) == set(_ACTIONS)
    assert set(re.findall(r"GET (/\w+)", listed)) == {"/status", "/kustomization", "/requests"}


def test_every_field_is_explained():
    fields = {row[0].strip("`") for row in table("docs/api.md", "field", "default", "meaning")}
    bodies = {
        name for row in table("docs/api.md", "request", "body", "answer") for name in re.findall(r"`(\w+)`", row[1])
    }
    assert fields == bodies
    used = {"cluster", "namespace", "name"}
    for action in (approve, reconcile, resume, suspend):
        constants = {each for each in action.__code__.co_consts if isinstance(each, str)}
        used |= constants & {"kind", "who", "why", "until", "prune", "withoutRender"}
    assert fields == used


def test_the_examples_of_answers_have_the_real_fields(plane):
    secrets = MemorySecrets({api.TOKEN_SECRET: {"token": TOKEN.encode()}})
    deps, stage = replace(plane.deps, secrets=secrets), load_pipeline().stage("api")
    request = HttpRequest(method="GET", path="/status", headers={"authorization": f"Bearer {TOKEN}"})
    real = json.loads(answer(stage, request, deps, plane.bus).body)
    shown = json.loads(next(f.text for f in fences("docs/api.md", "json") if "objects" in f.text))
    assert shown.keys() == real.keys()
    row = next(each for each in real["objects"] if each["kind"] == "Kustomization")
    assert shown["objects"][0].keys() == row.keys()
    assert shown["objects"][0]["conditions"][0].keys() == row["conditions"][0].keys()


def test_every_status_is_explained():
    rows = {row[0] for row in table("docs/api.md", "status", "")}
    assert rows >= {"401", "404", "405", "409", "413", "422", "503"}
    assert "problem+json" in text_of("docs/api.md")
