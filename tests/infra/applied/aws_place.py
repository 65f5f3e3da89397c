"""Where an instance of the AWS provider makes things: a region of moto's account."""

import functools
import os

from botocore.exceptions import ClientError
from tests.infra.applied.world import Kind

from penstock.adapters.aws.clients import Clients

GONE = {
    "AWS.SimpleQueueService.NonExistentQueue", "404", "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchEntity", "NoSuchKey", "NotFound",
    "NotFoundException", "QueueDoesNotExist", "ResourceNotFoundException", "ResourceNotFound", "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration", "OwnershipControlsNotFoundError", "ServerSideEncryptionConfigurationNotFoundError",
}  # fmt: skip


class AwsPlace:
    """``account``, ``region``, and clients there."""

    def __init__(self, config):
        self.region = config["region"]
        self._clients = _clients(self.region, os.environ["AWS_ENDPOINT_URL"])

    def client(self, service):
        return self._clients.client(service)

    @functools.cached_property
    def account(self):
        return self.client("sts").get_caller_identity()["Account"]


@functools.cache
def _clients(region, _endpoint):
    """Kept from one run of terraform to the next: botocore reads long for each service."""
    return Clients(region)


class AwsKind(Kind):
    """A Kind whose ``live`` says None where AWS answers that there is none. ``service``: whose client it asks."""

    service = ""

    @property
    def client(self):
        return self.place.client(self.service)

    def live(self, state):
        try:
            return self.now(state)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise

    def now(self, state):
        """As ``live``; an answer that there is none may leave it."""
        raise NotImplementedError


def pairs(tags, key="Key", value="Value"):
    """Tags as most services take them."""
    return [{key: name, value: text} for name, text in (tags or {}).items()]
