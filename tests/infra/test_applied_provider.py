"""The providers of the tests: schemas as the published ones have them, and that nothing goes by unseen."""

import pytest
from tests.infra.applied import run
from tests.infra.applied.protocol import MESSAGE
from tests.infra.applied.provider import Provider
from tests.infra.applied.schema import Attribute, block
from tests.infra.applied.values import UNKNOWN, decoded, encoded, is_known
from tests.infra.applied.world import Kept, Kind, World


@pytest.fixture(scope="module")
def known():
    return run.schemas()


def test_types_and_what_is_computed(known):
    queue = block(known, "resource", "aws_sqs_queue").attributes
    assert queue["arn"] == Attribute(type="string", computed=True)
    assert queue["name"] == Attribute(type="string", optional=True, computed=True)
    assert queue["visibility_timeout_seconds"] == Attribute(type="number", optional=True)
    assert queue["fifo_queue"].type == "bool"
    assert queue["tags"].type == ["map", "string"]
    mapping = block(known, "resource", "aws_lambda_event_source_mapping").attributes
    assert mapping["function_response_types"].type == ["set", "string"]
    assert mapping["function_name"].required
    metric = block(known, "resource", "google_monitoring_alert_policy").attributes
    assert metric["creation_record"].type == ["list", ["object", {"mutate_time": "string", "mutated_by": "string"}]]
    assert block(known, "provider", "aws_").attributes["region"].optional


def test_how_blocks_nest(known):
    table = block(known, "resource", "aws_dynamodb_table").blocks
    index = table["global_secondary_index"]
    assert (index.nesting, index.least, index.most) == ("set", 0, 0)
    assert (index.block.blocks["key_schema"].nesting, index.block.blocks["key_schema"].most) == ("list", 0)
    assert (table["point_in_time_recovery"].nesting, table["point_in_time_recovery"].most) == ("list", 1)
    assert table["timeouts"].nesting == "single"
    run_service = block(known, "resource", "google_cloudfunctions2_function").blocks["service_config"].block
    assert run_service.attributes["uri"] == Attribute(type="string", computed=True)
    sets = block(known, "resource", "google_secret_manager_secret").blocks["replication"]
    assert (sets.least, sets.most) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "name"), [("resource", "aws_sqs_topic"), ("data", "aws_sqs"), ("resource", "azure_x")]
)
def test_a_type_that_the_provider_does_not_have_is_not_served(known, kind, name):
    assert block(known, kind, name) is None
    provider = Provider(known, "aws_", [(kind, name), ("resource", "aws_sqs_queue")], None)
    response = provider.answer("GetSchema", None, "me")
    assert [each.key for each in response.resource_schemas] == ["aws_sqs_queue"]


def test_values_travel_with_what_is_not_known():
    value = {"a": [1, 2.5, "x", None, True], "b": UNKNOWN, "c": {"d": []}}
    assert decoded(encoded(value)) == value
    assert not is_known(value)
    assert is_known({"a": [{"b": None}]})
    with pytest.raises(TypeError, match="no value of Terraform: set"):
        encoded({1})


class Forgetful(Kind):
    def put(self, given, before):
        return {"id": given["name"]}


def world(kind):
    return World({"aws_x": kind}, {}, lambda config: config, lambda _given, _place: {})


def test_an_argument_that_comes_to_nothing_is_an_error():
    planned = {"name": "a", "tags": {"b": "c"}}
    with pytest.raises(AssertionError, match=r"\['tags'\] came to nothing"):
        world(Forgetful).put("aws_x", planned, None, {"name", "tags"})
    assert world(Forgetful).put("aws_x", planned, None, {"name"}) == {"id": "a"}


def test_only_what_changes_must_be_looked_at_again():
    before = {"name": "a", "tags": {"b": "c"}}
    assert world(Forgetful).put("aws_x", before, before, {"name", "tags"}) == {"id": "a"}
    with pytest.raises(AssertionError, match="came to nothing"):
        world(Forgetful).put("aws_x", before | {"tags": {}}, before, {"name", "tags"})


def test_what_is_in_the_state_alone_says_so():
    assert Kept.of("name").real is False
    assert Forgetful.real


def test_a_null_that_something_reads_is_seen():
    state = {
        "module.plane.aws_iam_role.scheduler": {"name": "x"},
        'module.plane.aws_sqs_queue.dead["fetch"]': {"arn": None, "id": "y", "name": "z", "url": "u"},
    }
    assert run.unmade(state) == ['module.plane.aws_sqs_queue.dead["fetch"]: arn']


def test_an_instance_that_was_never_configured_makes_nothing(known):
    provider = Provider(known, "aws_", [("resource", "aws_sqs_queue")], world(Forgetful))
    request = MESSAGE["ReadResourceRequest"](type_name="aws_sqs_queue")
    request.current_state.msgpack = encoded({})
    (problem,) = provider.answer("ReadResource", request, "nobody").diagnostics
    assert "ReadResource of aws_sqs_queue: KeyError" in problem.summary
