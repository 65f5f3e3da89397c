"""The table and the bucket: DynamoDB and S3 on moto."""

from pathlib import Path
from urllib.parse import urlencode

from tests.infra.applied.aws_place import AwsKind, pairs

CHANGED = dict.fromkeys(("deletion_protection_enabled", "point_in_time_recovery", "tags", "tags_all"))
"""Of a table, what is changed in place."""


class Table(AwsKind):
    """What is said once, when it is made, is read back whole; what can be changed, can be changed here."""

    service, replaced = "dynamodb", ("hash_key", "name", "range_key")

    def put(self, given, before):
        name = given["name"]
        protected = bool(given["deletion_protection_enabled"])
        shape = _table(given)
        if before is None:
            self.client.create_table(**shape, DeletionProtectionEnabled=protected, Tags=pairs(given["tags"]))
        else:
            assert {**given, **CHANGED} == {**before, **CHANGED}, "its shape is not changed here"
            self.client.update_table(TableName=name, DeletionProtectionEnabled=protected)
            self.client.tag_resource(ResourceArn=before["arn"], Tags=pairs(given["tags"]))
        recovery = {"PointInTimeRecoveryEnabled": bool(given.first("point_in_time_recovery").get("enabled"))}
        self.client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
        return {"id": name, "arn": self.client.describe_table(TableName=name)["Table"]["TableArn"]}

    def now(self, state):
        found = self.client.describe_table(TableName=state["name"])["Table"]
        keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
        return {
            "deletion_protection_enabled": found["DeletionProtectionEnabled"],
            "hash_key": keys["HASH"],
            "range_key": keys["RANGE"],
            "billing_mode": found["BillingModeSummary"]["BillingMode"],
        }

    def delete(self, state):
        self.client.delete_table(TableName=state["name"])


def _table(given):
    sides = (("hash_key", "HASH"), ("range_key", "RANGE"))
    return {
        "TableName": given["name"],
        "BillingMode": given["billing_mode"],
        "AttributeDefinitions": [
            {"AttributeName": each["name"], "AttributeType": each["type"]} for each in given["attribute"]
        ],
        "KeySchema": [{"AttributeName": given[name], "KeyType": side} for name, side in sides],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": each["name"],
                "KeySchema": [
                    {"AttributeName": key["attribute_name"], "KeyType": key["key_type"]} for key in each["key_schema"]
                ],
                "Projection": {"ProjectionType": each["projection_type"]},
            }
            for each in given["global_secondary_index"]
        ],
        "SSESpecification": {"Enabled": given.first("server_side_encryption")["enabled"]},
    }


class Bucket(AwsKind):
    service, replaced = "s3", ("bucket",)

    def put(self, given, before):
        name = given["bucket"]
        if before is None:
            where = {"CreateBucketConfiguration": {"LocationConstraint": self.place.region}}
            self.client.create_bucket(Bucket=name, **({} if self.place.region == "us-east-1" else where))
        self.client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs(given["tags"])})
        _ = given["force_destroy"]  # what delete asks the state for
        return {"id": name, "bucket": name, "arn": f"arn:aws:s3:::{name}"}

    def now(self, state):
        found = self.client.get_bucket_tagging(Bucket=state["bucket"])["TagSet"]
        return {"tags": {each["Key"]: each["Value"] for each in found}}

    def delete(self, state):
        name = state["bucket"]
        while state["force_destroy"]:
            listed = self.client.list_objects_v2(Bucket=name).get("Contents", ())
            if not listed:
                break
            self.client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": each["Key"]} for each in listed]})
        self.client.delete_bucket(Bucket=name)


class BucketPart(AwsKind):
    """A setting of a bucket, which the three calls ``call`` of S3 put, get and delete."""

    service, replaced, call = "s3", ("bucket",), ""

    def put(self, given, before):
        getattr(self.client, f"put_{self.call}")(Bucket=given["bucket"], **self.said(given))
        return {"id": given["bucket"]}

    def now(self, state):
        found = getattr(self.client, f"get_{self.call}")(Bucket=state["bucket"])
        ((name, wanted),) = self.said(state).items()
        return {} if _has(found.get(name, found), wanted) else None

    def delete(self, state):
        name = self.call.replace("_configuration", "") if "lifecycle" in self.call else self.call
        getattr(self.client, f"delete_{name}")(Bucket=state["bucket"])

    def said(self, given):
        """The call's parameter, made of the arguments."""
        raise NotImplementedError


def _has(found, wanted):
    """Whether an answer has everything that was said, and perhaps more."""
    if isinstance(wanted, dict):
        return all(name in found and _has(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_has, found, wanted))
    return found == wanted


class PublicAccessBlock(BucketPart):
    call = "public_access_block"

    def said(self, given):
        names = {
            "block_public_acls": "BlockPublicAcls",
            "block_public_policy": "BlockPublicPolicy",
            "ignore_public_acls": "IgnorePublicAcls",
            "restrict_public_buckets": "RestrictPublicBuckets",
        }
        return {"PublicAccessBlockConfiguration": {api: given[name] for name, api in names.items()}}


class OwnershipControls(BucketPart):
    call = "bucket_ownership_controls"

    def said(self, given):
        rules = [{"ObjectOwnership": each["object_ownership"]} for each in given["rule"]]
        return {"OwnershipControls": {"Rules": rules}}


class Encryption(BucketPart):
    call = "bucket_encryption"

    def said(self, given):
        rules = [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": inner["sse_algorithm"]}}
            for each in given["rule"]
            for inner in each["apply_server_side_encryption_by_default"]
        ]
        return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


class Lifecycle(BucketPart):
    call = "bucket_lifecycle_configuration"

    def said(self, given):
        rules = [
            {
                "ID": each["id"],
                "Status": each["status"],
                "Filter": {"Prefix": each["filter"][0]["prefix"]},
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": each["abort_incomplete_multipart_upload"][0]["days_after_initiation"]
                },
            }
            for each in given["rule"]
        ]
        return {"LifecycleConfiguration": {"Rules": rules}}


class Object(AwsKind):
    service, replaced = "s3", ("bucket", "key")

    def put(self, given, before):
        where = {"Bucket": given["bucket"], "Key": given["key"]}
        _ = given["source_hash"]  # for terraform alone: that the file is another one
        made = self.client.put_object(
            **where, Body=Path(given["source"]).read_bytes(), Tagging=urlencode(given["tags"])
        )
        return {"id": given["key"], "etag": made["ETag"].strip('"')}

    def now(self, state):
        found = self.client.head_object(Bucket=state["bucket"], Key=state["key"])
        return {"etag": found["ETag"].strip('"')}

    def delete(self, state):
        self.client.delete_object(Bucket=state["bucket"], Key=state["key"])
