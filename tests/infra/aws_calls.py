"""Which calls to AWS a stage makes, and the rights that each needs, as AWS's service authorization reference lists them."""

from tests.aws.plane import NAMES
from tests.infra.stages import Calls, watch

from penstock.adapters.aws.clients import Clients
from penstock.adapters.aws.errors import action
from penstock.wiring import lambda_functions


class AwsCalls(Calls):
    """Of which stage which calls came: (stage, action, resource, context)."""

    def __init__(self):
        super().__init__()
        self.scheduled = set()
        """Topics that EventBridge Scheduler was asked to publish to."""

    def take(self, region, service, operation, parameters):
        if service == "scheduler":
            self.scheduled.add(parameters["Target"]["Arn"])
        for act, resource, context in needs(region, service, operation, parameters):
            if self.stage:
                self.made.append((self.stage, act, resource, context))


def needs(region, service, operation, parameters):
    """The rights that one call needs, as AWS's service authorization reference lists them."""
    at = f"{region}:{NAMES.account}"
    match (service, operation):
        case ("dynamodb", "transact_write_items" | "transact_get_items"):
            names = {"Put": "put_item", "Delete": "delete_item", "Get": "get_item"}
            for each in parameters["TransactItems"]:
                ((kind, inner),) = each.items()
                yield from needs(region, "dynamodb", names[kind], inner)
        case ("dynamodb", _):
            table = f"arn:aws:dynamodb:{at}:table/{NAMES.table}"
            index = parameters.get("IndexName")
            keys = {"dynamodb:LeadingKeys": _leading(parameters)} if operation != "scan" else {}
            yield action(service, operation), f"{table}/index/{index}" if index else table, keys
        case ("sns", _):
            yield "sns:Publish", parameters["TopicArn"], {}
        case ("sqs", _):
            name = {"send_message_batch": "sqs:SendMessage"}.get(operation, action(service, operation))
            yield name, f"arn:aws:sqs:{at}:{parameters['QueueUrl'].rpartition('/')[2]}", {}
        case ("s3", "list_objects_v2"):
            yield "s3:ListBucket", f"arn:aws:s3:::{parameters['Bucket']}", {}
        case ("s3", _):
            yield action(service, operation), f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}", {}
        case ("secretsmanager", _):
            name = parameters.get("Name") or parameters["SecretId"]
            tags = {f"aws:RequestTag/{tag['Key']}": [tag["Value"]] for tag in parameters.get("Tags", ())}
            owned = {"aws:ResourceTag/penstock.dev/owner": ["some plane"]}  # the adapter looks first
            context = tags if operation == "create_secret" else owned
            yield action(service, operation), f"arn:aws:secretsmanager:{at}:secret:{name}-AbCdEf", context
        case ("ssm", _):
            name = parameters.get("Name") or parameters["ResourceId"]
            tags = {f"aws:RequestTag/{tag['Key']}": [tag["Value"]] for tag in parameters.get("Tags", ())}
            owned = {"aws:ResourceTag/penstock.dev/owner": ["some plane"]}  # the adapter looks first
            yield action(service, operation), f"arn:aws:ssm:{at}:parameter{name}", tags or owned
            if tags:
                yield "ssm:AddTagsToResource", f"arn:aws:ssm:{at}:parameter{name}", tags
        case ("scheduler", _):
            place = f"{parameters['GroupName']}/{parameters['Name']}"
            yield "scheduler:CreateSchedule", f"arn:aws:scheduler:{at}:schedule/{place}", {}
        case _:
            raise AssertionError(f"no rights are known for {service} {operation}")


def _leading(parameters):
    keys = [parameters.get("Key") or parameters.get("Item")]
    if requests := parameters.get("RequestItems"):
        keys = [key for request in requests.values() for key in request["Keys"]]
    if values := parameters.get("ExpressionAttributeValues"):
        found = values.get(":p") or values.get(":s")
        return [found["S"]] if found else [key["p"]["S"] for key in keys if key]
    return [key["p"]["S"] for key in keys if key]


def spied_on(monkeypatch):
    """The calls of all stages that run from now on."""
    found = AwsCalls()
    call = Clients.call

    def spied(self, service, operation, resource, parameters, **more):
        found.take(self._region, service, operation, parameters)
        return call(self, service, operation, resource, parameters, **more)

    monkeypatch.setattr(Clients, "call", spied)
    watch(found, monkeypatch)
    for name in ("topic_handler", "schedule_handler", "http_handler"):
        monkeypatch.setattr(lambda_functions, name, _handler(found, getattr(lambda_functions, name)))
    return found


def _handler(calls, make):
    def made(stage):
        inner = make(stage)

        def handle(event, context):
            with calls.of(stage):
                return inner(event, context)

        return handle

    return made
