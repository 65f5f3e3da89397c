"""Events as AWS hands them to functions: their shapes recorded, their values this project's."""

import base64


def function_url(method="POST", path="/hook/x", *, headers=None, body=b"", query="", encoded=False):
    """A request to a function URL (payload format 2.0). ``encoded``: the content type is not one of text."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": ["session=1"],
        "headers": {
            "host": "abcdefghij.lambda-url.eu-central-1.on.aws",
            "x-forwarded-for": "192.0.2.1",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "content-length": str(len(body)),
            **(headers or {}),
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.lambda-url.eu-central-1.on.aws",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "GitHub-Hookshot/044aadd",
            },
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000",
            "timeEpoch": 1773342238390,
        },
        **({"body": base64.b64encode(body).decode() if encoded else body.decode()} if body else {}),
        "isBase64Encoded": encoded,
    }


def sqs(*messages, stage="fetch"):
    """A batch. ``messages``: (body, receipt, receive count)."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": receipt,
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": str(count),
                    "SentTimestamp": "1773342238000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1773342238001",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:plane-1-{stage}",
                "awsRegion": "eu-central-1",
            }
            for number, (body, receipt, count) in enumerate(messages)
        ]
    }


def schedule(source="aws.scheduler"):
    """EventBridge Scheduler's call without an input of its own, or (``aws.events``) a scheduled rule's."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": source,
        "account": "123456789012",
        "time": "2026-03-12T19:03:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/plane-1/plane-1-tick"],
        "detail": "{}" if source == "aws.scheduler" else {},
    }


class Context:
    """What Lambda tells of an invocation. ``seconds``: what is left, one figure a call, the last one for ever."""

    aws_request_id = "e1506fd5-9e7b-434f-bd42-4f8fa224b599"

    def __init__(self, *seconds):
        self._seconds = list(seconds) or [900.0]

    def get_remaining_time_in_millis(self):
        return round(1000 * (self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]))
