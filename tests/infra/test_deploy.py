"""docs/aws.md and docs/google.md, "Deploy", as a reader follows it: what is named there is in the example and in the module."""

import re
from pathlib import Path

import pytest
from tests.infra.hcl import read

from penstock.core.secrets.names import API_TOKEN

ROOT = Path(__file__).parents[2]
CLOUDS = ("aws", "google")


def section(cloud):
    """From the heading Deploy to the next of its level."""
    return (ROOT / f"docs/{cloud}.md").read_text().partition("\n## Deploy\n")[2].partition("\n## ")[0]


def example(cloud):
    return read(ROOT / f"examples/terraform/{cloud}")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_command_gives_what_the_example_asks_for_and_nothing_else(cloud):
    text, variables = section(cloud), example(cloud).variables
    assert f"EXAMPLE=examples/terraform/{cloud}\n" in text
    apply = re.search(r"^terraform .* apply (.*)$", text, re.MULTILINE)[1]
    given = set(re.findall(r'-var "?(\w+)=', apply))
    assert given == {name for name, body in variables.items() if "default" not in body}
    assert set(re.findall(r"-var \"?(\w+)=", text)) <= set(variables)
    assert f"dist/{cloud}.zip" in apply


@pytest.mark.parametrize("cloud", CLOUDS)
def test_outputs_that_it_names_are_the_examples_and_the_modules(cloud):
    outputs = {"api_url", "environment", "secrets", "webhook_url"}
    assert set(re.findall(r"output -(?:raw|json) (\w+)", section(cloud))) <= outputs
    assert all(
        f"`{name}`" in section(cloud) or f" {name})" in section(cloud) or f" {name} " in section(cloud)
        for name in outputs
    )
    assert outputs <= set(example(cloud).outputs)
    assert outputs <= set(read(ROOT / f"infra/terraform/{cloud}").outputs)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_secret_is_called_as_the_plane_of_the_example_calls_it(cloud):
    prefix = example(cloud).modules["plane"]["prefix"].strip('"')
    separator = {"aws": "/", "google": "-"}[cloud]
    assert f"{prefix}{separator}{API_TOKEN} " in section(cloud)
    assert "api-token" in str(example(cloud).modules["plane"]["secrets"])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_table_of_inputs_is_the_module(cloud):
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section(cloud), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(read(ROOT / f"infra/terraform/{cloud}").variables)


@pytest.mark.parametrize("cloud", [*CLOUDS, "github", "aws-regions", "google-regions"])
def test_what_a_reader_sees_is_described(cloud):
    folder = f"infra/terraform/{cloud}" if cloud == "github" else f"examples/terraform/{cloud}"
    module = read(ROOT / folder)
    assert all(len(body["description"]) > 8 for body in (module.variables | module.outputs).values())


def test_alert_policies_are_those_of_the_table():
    resources = read(ROOT / "infra/terraform/google").resources
    made = {
        body["display_name"].rpartition(": ")[2].strip('"')
        for (_, type_, _), body in resources.items()
        if type_ == "google_monitoring_alert_policy"
    }
    rows = section("google").partition("| alert policy | says |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r": ([a-z ]+)`", rows)) == made


def test_alarms_are_those_of_the_table():
    """By what their names end with."""
    text = (ROOT / "infra/terraform/aws/alarms.tf").read_text()
    made = set(re.findall(r'^\s+(?:alarm_)?name +=.*\}-([a-z-]+)"$', text, re.MULTILINE))
    assert len(re.findall(r'^resource "aws_cloudwatch_metric_alarm"', text, re.MULTILINE)) == 7
    rows = section("aws").partition("| alarm | says |\n| --- | --- |\n")[2].partition("\n\n")[0]
    told = set(re.findall(r"`<p>-(?:<\w+>-|tick-|webhook-|api-)?(?:dead-)?([a-z-]+)`", rows))
    assert told == made
