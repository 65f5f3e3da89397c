"""AWS's error codes as errors of ours.

throttling, 5xx, network, expired credentials    Transient
a condition that did not hold                    Conflict
no right to it                                   Refused, naming the IAM action and the resource
what was named does not exist                    NotFound
any other refusal of a request                   Terminal

Only codes are quoted: the texts of errors could repeat what was sent.
"""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Conflict, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import seconds_to_wait

_CONFLICTS = frozenset({"ConditionalCheckFailedException", "PreconditionFailed"})
_TRANSIENT = frozenset(
    {
        "400",  # of a HEAD, which says no more: a token that has expired
        "ConditionalRequestConflict",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "KMSThrottlingException",
        "LimitExceededException",
        "OperationAborted",
        "ProvisionedThroughputExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "InvalidClientTokenId",
        "KMSAccessDeniedException",
        "UnrecognizedClientException",
    }
)
_MISSING = frozenset(
    {"NoSuchBucket", "NotFound", "NotFoundException", "QueueDoesNotExist", "ResourceNotFoundException"}
)
_ACTIONS = {
    "sns:PublishBatch": "sns:Publish",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "dynamodb:TransactGetItems": "dynamodb:GetItem",
    "dynamodb:TransactWriteItems": "dynamodb:PutItem",
}
"""Operations that IAM knows under another name."""


def action(service: str, operation: str) -> str:
    """The IAM action of a client's method: ``("sqs", "send_message_batch")`` -> ``sqs:SendMessage``."""
    name = f"{service}:{''.join(part.capitalize() for part in operation.split('_'))}"
    return _ACTIONS.get(name, name)


def code_of(response: Mapping[str, Any]) -> str:
    """The error's code without its namespace; SQS's ``NonExistentQueue`` reads as ``QueueDoesNotExist``."""
    code = str(response.get("Error", {}).get("Code", "")).rpartition(".")[2]
    return "QueueDoesNotExist" if code == "NonExistentQueue" else code


def translated(response: Mapping[str, Any], act: str, resource: str) -> PenstockError:
    """Our error for an answer of AWS that is one. ``act``: the IAM action; ``resource``: what it was about."""
    code = code_of(response)
    meta = response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode") or 0)
    said = f"AWS answered {code or status} to {act} on {resource}"
    if code in _CONFLICTS:
        return Conflict(said)
    if code in _TRANSIENT or status >= 500 or status == 429:
        return Transient(said, retry_after=seconds_to_wait(meta.get("HTTPHeaders", {}).get("retry-after", "")))
    if code in _REFUSED or status == 403:
        return Refused(f"{said}: the identity that this runs as needs the permission {act} on {resource}")
    if code in _MISSING:
        return NotFound(f"{said}: it does not exist")
    return Terminal(said)
