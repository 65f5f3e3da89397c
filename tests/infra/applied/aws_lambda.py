"""Functions, how they are called and by whom: Lambda on moto."""

import json

from tests.infra.applied.aws_place import AwsKind

CONFIGURATION = {
    "handler": "Handler",
    "memory_size": "MemorySize",
    "role": "Role",
    "runtime": "Runtime",
    "timeout": "Timeout",
}


class Function(AwsKind):
    service, replaced = "lambda", ("function_name",)

    def put(self, given, before):
        name, tags = given["function_name"], given["tags"]
        code = {"S3Bucket": given["s3_bucket"], "S3Key": given["s3_key"]}
        settings = {
            **{api: given[argument] for argument, api in CONFIGURATION.items()},
            "Environment": {"Variables": given.first("environment")["variables"]},
            "LoggingConfig": {
                "LogFormat": given.first("logging_config")["log_format"],
                "LogGroup": given.first("logging_config")["log_group"],
            },
            "TracingConfig": {"Mode": given.first("tracing_config")["mode"]},
        }
        architectures = given["architectures"]
        if before is None:
            self.client.create_function(
                FunctionName=name, Code=code, Architectures=architectures, Tags=tags, **settings
            )
        else:
            if given["source_code_hash"] != before["source_code_hash"] or given["s3_key"] != before["s3_key"]:
                self.client.update_function_code(FunctionName=name, Architectures=architectures, **code)
            self.client.update_function_configuration(FunctionName=name, **settings)
        self._reserve(name, given["reserved_concurrent_executions"])
        _ = given["source_code_hash"]  # for terraform alone: that the code is another
        arn = self.client.get_function_configuration(FunctionName=name)["FunctionArn"]
        return {"id": name, "arn": arn, "version": "$LATEST"}

    def _reserve(self, name, many):
        if many >= 0:
            self.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=many)
        else:
            self.client.delete_function_concurrency(FunctionName=name)

    def now(self, state):
        name = state["function_name"]
        found = self.client.get_function(FunctionName=name)
        reserved = found.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1)
        now = {argument: found["Configuration"][api] for argument, api in CONFIGURATION.items()}
        variables = found["Configuration"]["Environment"]["Variables"]
        return {
            **now,
            "environment": [{**state["environment"][0], "variables": variables}],
            "reserved_concurrent_executions": reserved,
        }

    def delete(self, state):
        self.client.delete_function(FunctionName=state["function_name"])


class EventSourceMapping(AwsKind):
    service, replaced = "lambda", ("event_source_arn",)

    def put(self, given, before):
        settings = {
            "FunctionName": given["function_name"],
            "BatchSize": given["batch_size"],
            "FunctionResponseTypes": given["function_response_types"],
            "ScalingConfig": {"MaximumConcurrency": given.first("scaling_config")["maximum_concurrency"]},
        }
        tags = given["tags"]
        if before is None:
            made = self.client.create_event_source_mapping(
                EventSourceArn=given["event_source_arn"], Tags=tags, **settings
            )
        else:
            made = self.client.update_event_source_mapping(UUID=before["uuid"], **settings)
        return {"id": made["UUID"], "uuid": made["UUID"], "function_arn": made["FunctionArn"]}

    def now(self, state):
        found = self.client.get_event_source_mapping(UUID=state["uuid"])
        return {"batch_size": found["BatchSize"], "event_source_arn": found["EventSourceArn"]}

    def delete(self, state):
        self.client.delete_event_source_mapping(UUID=state["uuid"])


class FunctionUrl(AwsKind):
    service, replaced = "lambda", ("function_name",)

    def put(self, given, before):
        arguments = {"FunctionName": given["function_name"], "AuthType": given["authorization_type"]}
        call = self.client.create_function_url_config if before is None else self.client.update_function_url_config
        made = call(**arguments)
        return {"id": given["function_name"], "function_url": made["FunctionUrl"], "function_arn": made["FunctionArn"]}

    def now(self, state):
        found = self.client.get_function_url_config(FunctionName=state["function_name"])
        return {"authorization_type": found["AuthType"], "function_url": found["FunctionUrl"]}

    def delete(self, state):
        self.client.delete_function_url_config(FunctionName=state["function_name"])


class Permission(AwsKind):
    """A statement of a function's policy. A change of any argument makes a new one."""

    service = "lambda"
    replaced = (
        "action", "function_name", "function_url_auth_type", "invoked_via_function_url", "principal", "source_arn", "statement_id",
    )  # fmt: skip

    def put(self, given, before):
        optional = {
            "FunctionUrlAuthType": given["function_url_auth_type"],
            "InvokedViaFunctionUrl": given["invoked_via_function_url"],
            "SourceArn": given["source_arn"],
        }
        self.client.add_permission(
            FunctionName=given["function_name"],
            StatementId=given["statement_id"],
            Action=given["action"],
            Principal=given["principal"],
            **{name: value for name, value in optional.items() if value is not None},
        )
        return {"id": given["statement_id"]}

    def now(self, state):
        policy = json.loads(self.client.get_policy(FunctionName=state["function_name"])["Policy"])
        found = {each["Sid"]: each for each in policy["Statement"]}
        statement = found.get(state["statement_id"])
        return statement and {"action": statement["Action"]}

    def delete(self, state):
        self.client.remove_permission(FunctionName=state["function_name"], StatementId=state["statement_id"])


class EventInvokeConfig(AwsKind):
    service, replaced = "lambda", ("function_name",)

    def put(self, given, before):
        name = given["function_name"]
        self.client.put_function_event_invoke_config(
            FunctionName=name,
            MaximumEventAgeInSeconds=given["maximum_event_age_in_seconds"],
            MaximumRetryAttempts=given["maximum_retry_attempts"],
        )
        return {"id": name}

    def now(self, state):
        found = self.client.get_function_event_invoke_config(FunctionName=state["function_name"])
        return {
            "maximum_event_age_in_seconds": found["MaximumEventAgeInSeconds"],
            "maximum_retry_attempts": found["MaximumRetryAttempts"],
        }

    def delete(self, state):
        self.client.delete_function_event_invoke_config(FunctionName=state["function_name"])
