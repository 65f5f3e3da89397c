"""Push subscriptions of a plane in several regions: what each hands to the functions of its region."""

from tests.google import plane as google
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from penstock.wiring import functions
from penstock.wiring.lazy import Once


def hand(plane, region, stage):
    """What a push subscription does in a region."""
    names = plane.runtimes[region].settings.google.at(region)
    functions.runtime = Once(lambda: plane.runtimes[region])
    for topic in plane.pipeline.stage(stage).subscribes:
        url = f"{names.endpoints.pubsub}/v1/{names.subscription(stage, topic)}"
        found = google.request("POST", f"{url}:pull", {"maxMessages": 1, "returnImmediately": True})
        for each in found.get("receivedMessages", []):
            body = {"message": each["message"], "subscription": "s", "deliveryAttempt": 1}
            request = Request(EnvironBuilder(method="POST", json=body).get_environ())
            if functions.topic_function(stage, request).status_code == 204:
                google.request("POST", f"{url}:acknowledge", {"ackIds": [each["ackId"]]})
            return True
    return False
