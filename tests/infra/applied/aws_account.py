"""Roles, keys, secrets, logs, alarms and the budget: what is beside the plane's own flow, on moto."""

import json

from tests.infra.applied.aws_place import AwsKind, pairs


class Role(AwsKind):
    service, replaced = "iam", ("name",)

    def put(self, given, before):
        name, trust = given["name"], given["assume_role_policy"]
        boundary = {"PermissionsBoundary": given["permissions_boundary"]} if given["permissions_boundary"] else {}
        if before is None:
            self.client.create_role(
                RoleName=name, AssumeRolePolicyDocument=trust, Tags=pairs(given["tags"]), **boundary
            )
        else:
            self.client.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
            self.client.tag_role(RoleName=name, Tags=pairs(given["tags"]))
            if boundary:
                self.client.put_role_permissions_boundary(RoleName=name, **boundary)
        found = self.client.get_role(RoleName=name)["Role"]
        return {"id": name, "arn": found["Arn"], "unique_id": found["RoleId"]}

    def now(self, state):
        found = self.client.get_role(RoleName=state["name"])["Role"]
        return {"assume_role_policy": json.dumps(found["AssumeRolePolicyDocument"])}

    def delete(self, state):
        self.client.delete_role(RoleName=state["name"])


class RolePolicy(AwsKind):
    service, replaced = "iam", ("name", "role")

    def put(self, given, before):
        self.client.put_role_policy(RoleName=given["role"], PolicyName=given["name"], PolicyDocument=given["policy"])
        return {"id": f"{given['role']}:{given['name']}"}

    def now(self, state):
        found = self.client.get_role_policy(RoleName=state["role"], PolicyName=state["name"])
        return {"policy": json.dumps(found["PolicyDocument"])}

    def delete(self, state):
        self.client.delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


class Key(AwsKind):
    service = "kms"

    def put(self, given, before):
        description, policy, tags = given["description"], given["policy"], given["tags"]
        if before is None:
            said = {"Tags": pairs(tags, "TagKey", "TagValue")} if tags else {}
            made = self.client.create_key(Description=description, Policy=policy, **said)["KeyMetadata"]
        else:
            made = self.client.describe_key(KeyId=before["key_id"])["KeyMetadata"]
            self.client.put_key_policy(KeyId=made["KeyId"], PolicyName="default", Policy=policy)
        if given["enable_key_rotation"]:
            self.client.enable_key_rotation(KeyId=made["KeyId"])
        return {"id": made["KeyId"], "key_id": made["KeyId"], "arn": made["Arn"]}

    def now(self, state):
        found = self.client.describe_key(KeyId=state["key_id"])["KeyMetadata"]
        return {} if found["KeyState"] == "Enabled" else None

    def delete(self, state):
        self.client.schedule_key_deletion(KeyId=state["key_id"])


class Secret(AwsKind):
    service, replaced = "secretsmanager", ("name",)

    def put(self, given, before):
        name = given["name"]
        _ = given["recovery_window_in_days"]  # what delete asks the state for
        if before is None:
            said = {"Description": given["description"], "Tags": pairs(given["tags"])}
            arn = self.client.create_secret(Name=name, **said)["ARN"]
        else:
            arn = self.client.update_secret(SecretId=name, Description=given["description"])["ARN"]
        return {"id": arn, "arn": arn}

    def now(self, state):
        found = self.client.describe_secret(SecretId=state["arn"])
        return None if found.get("DeletedDate") else {"description": found["Description"], "name": found["Name"]}

    def delete(self, state):
        days = state["recovery_window_in_days"]
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        self.client.delete_secret(SecretId=state["arn"], **how)


class LogGroup(AwsKind):
    service, replaced = "logs", ("name",)

    def put(self, given, before):
        name = given["name"]
        if before is None:
            self.client.create_log_group(logGroupName=name, tags=given["tags"])
        self.client.put_retention_policy(logGroupName=name, retentionInDays=given["retention_in_days"])
        return {"id": name, "arn": self._found(name)["arn"].removesuffix(":*")}

    def _found(self, name):
        found = self.client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next((each for each in found if each["logGroupName"] == name), None)

    def now(self, state):
        found = self._found(state["name"])
        return found and {"retention_in_days": found["retentionInDays"]}

    def delete(self, state):
        self.client.delete_log_group(logGroupName=state["name"])


class MetricFilter(AwsKind):
    service, replaced = "logs", ("log_group_name", "name")

    def put(self, given, before):
        made = given.first("metric_transformation")
        self.client.put_metric_filter(
            logGroupName=given["log_group_name"],
            filterName=given["name"],
            filterPattern=given["pattern"],
            metricTransformations=[
                {
                    "metricName": made["name"],
                    "metricNamespace": made["namespace"],
                    "metricValue": made["value"],
                    "defaultValue": float(made["default_value"]),
                }
            ],
        )
        return {"id": given["name"]}

    def now(self, state):
        found = self.client.describe_metric_filters(
            logGroupName=state["log_group_name"], filterNamePrefix=state["name"]
        )["metricFilters"]
        return {"pattern": found[0]["filterPattern"]} if found else None

    def delete(self, state):
        self.client.delete_metric_filter(logGroupName=state["log_group_name"], filterName=state["name"])


ALARM = {
    "alarm_description": "AlarmDescription",
    "comparison_operator": "ComparisonOperator",
    "evaluation_periods": "EvaluationPeriods",
    "metric_name": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treat_missing_data": "TreatMissingData",
}
"""Arguments that are parameters of PutMetricAlarm, and fields of what DescribeAlarms says."""


def _query(block):
    """A metric_query as PutMetricAlarm takes it: an expression, or a metric that others refer to."""
    said = {"Id": block["id"], "ReturnData": bool(block["return_data"])}
    said |= {api: block[name] for name, api in (("expression", "Expression"), ("label", "Label")) if block[name]}
    for metric in block["metric"] or []:
        names = {"Namespace": metric["namespace"], "MetricName": metric["metric_name"]}
        names["Dimensions"] = pairs(metric["dimensions"], "Name", "Value")
        said["MetricStat"] = {"Metric": names, "Period": metric["period"], "Stat": metric["stat"]}
    return said


class Alarm(AwsKind):
    service, replaced = "cloudwatch", ("alarm_name",)

    def put(self, given, before):
        said = {api: given[name] for name, api in ALARM.items() if given[name] is not None}
        if dimensions := given["dimensions"]:
            said["Dimensions"] = pairs(dimensions, "Name", "Value")
        if queries := given["metric_query"]:
            said["Metrics"] = [_query(each) for each in queries]
        self.client.put_metric_alarm(
            AlarmName=given["alarm_name"],
            AlarmActions=given["alarm_actions"] or [],
            OKActions=given["ok_actions"] or [],
            Tags=pairs(given["tags"]),
            **said,
        )
        return {"id": given["alarm_name"], "arn": self._found(given)["AlarmArn"]}

    def _found(self, state):
        found = self.client.describe_alarms(AlarmNames=[state["alarm_name"]])["MetricAlarms"]
        return found[0] if found else None

    def now(self, state):
        found = self._found(state)
        return found and {name: found.get(api) for name, api in ALARM.items() if state[name] is not None}

    def delete(self, state):
        self.client.delete_alarms(AlarmNames=[state["alarm_name"]])


class Dashboard(AwsKind):
    service, replaced = "cloudwatch", ("dashboard_name",)

    def put(self, given, before):
        name = given["dashboard_name"]
        self.client.put_dashboard(DashboardName=name, DashboardBody=given["dashboard_body"])
        arn = f"arn:aws:cloudwatch::{self.place.account}:dashboard/{name}"
        return {"id": name, "dashboard_arn": arn}

    def now(self, state):
        return {"dashboard_body": self.client.get_dashboard(DashboardName=state["dashboard_name"])["DashboardBody"]}

    def delete(self, state):
        self.client.delete_dashboards(DashboardNames=[state["dashboard_name"]])


class Budget(AwsKind):
    service, replaced = "budgets", ("name",)

    def put(self, given, before):
        budget = {
            "BudgetName": given["name"],
            "BudgetType": given["budget_type"],
            "BudgetLimit": {"Amount": given["limit_amount"], "Unit": given["limit_unit"]},
            "CostFilters": {each["name"]: each["values"] for each in given["cost_filter"]},
            "TimeUnit": given["time_unit"],
        }
        assert before is None, "moto changes no budgets"
        self.client.create_budget(
            AccountId=self.place.account,
            Budget=budget,
            NotificationsWithSubscribers=[_notification(each) for each in given["notification"]],
            ResourceTags=pairs(given["tags"]),
        )
        return {"id": f"{self.place.account}:{given['name']}", "account_id": self.place.account}

    def now(self, state):
        found = self.client.describe_budget(AccountId=self.place.account, BudgetName=state["name"])["Budget"]
        return {"budget_type": found["BudgetType"], "limit_amount": found["BudgetLimit"]["Amount"]}

    def delete(self, state):
        self.client.delete_budget(AccountId=self.place.account, BudgetName=state["name"])


def _notification(each):
    return {
        "Notification": {
            "NotificationType": each["notification_type"],
            "ComparisonOperator": each["comparison_operator"],
            "Threshold": each["threshold"],
            "ThresholdType": each["threshold_type"],
        },
        "Subscribers": [
            {"SubscriptionType": "EMAIL", "Address": address} for address in each["subscriber_email_addresses"]
        ],
    }
