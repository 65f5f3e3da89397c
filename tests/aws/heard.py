"""What functions in processes of their own ask of moto's server: by whose key, and which call of AWS it is."""

import contextlib
import io
import json
import re
from unittest import mock
from urllib.parse import parse_qs, unquote

from botocore import xform_name
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

_KEY = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_OBJECTS = {"GET": "get_object", "HEAD": "head_object", "PUT": "put_object", "DELETE": "delete_object"}


@contextlib.contextmanager
def heard():
    """A list that grows: (access key, region, service, operation, parameters) of each request, as botocore names them."""
    found, answer = [], DomainDispatcherApplication.__call__

    def spied(self, environ, start_response):
        if signed := _KEY.search(environ.get("HTTP_AUTHORIZATION", "")):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            found.append((*signed.groups(), *_call(signed[3], environ, body)))
        return answer(self, environ, start_response)

    with mock.patch.object(DomainDispatcherApplication, "__call__", spied):
        yield found


def _call(service, environ, body):
    method, path = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"])
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return xform_name(target.rpartition(".")[2]), json.loads(body)
    if service == "s3":
        bucket, _, key = path.strip("/").partition("/")
        if not key and method == "GET":
            return "list_objects_v2", {"Bucket": bucket}
        return _OBJECTS[method], {"Bucket": bucket, "Key": key}
    if service == "scheduler":
        assert method == "POST", path
        return "create_schedule", {**json.loads(body), "Name": path.rpartition("/")[2]}
    asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return xform_name(asked.get("Action", path)), asked
