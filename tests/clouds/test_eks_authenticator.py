"""The tokens of EKS before aws-iam-authenticator, whose verifier stands in front of EKS' API servers.

It takes a token apart (form, host, what is signed, its time), and asks STS who signed it. STS is a loopback server behind
a proxy and an authority of our own: it makes the signature again with botocore, and refuses what differs, as STS does.
"""

import json
import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.clouds.certificates import authority
from tests.controlplane.build import cache

from penstock.core.clusters import eks
from penstock.core.identity.sigv4 import AwsKeys

VERSION = "0.6.13"
PROGRAM = cache() / f"aws-iam-authenticator-{VERSION}-linux-amd64" / "aws-iam-authenticator"
MISSING = (
    ""
    if PROGRAM.exists()
    else f"aws-iam-authenticator is not here: GOBIN={PROGRAM.parent} go install "
    f"sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator@v{VERSION}"
)
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

KEYS = AwsKeys(access_key_id="ASIAROLE", secret_access_key="secret-canary", session_token="session/canary+token==")
LONG_TERM = AwsKeys(access_key_id="AKIAUSER", secret_access_key="other-canary")
ROLE = "arn:aws:sts::123456789012:assumed-role/deployer/deployer.apps.eu-central-1.penstock"
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/production"
PARTITIONS = {
    "aws": ("eu-central-1", "us-east-1", "us-west-2", "ap-southeast-2", "me-south-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
}


class Sts(BaseHTTPRequestHandler):
    """A proxy that is the host that it is asked for."""

    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.trust.serving(host).wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self):
        super().finish()
        self.connection.close()  # the one over TLS is another than the server's own

    def do_GET(self):
        status, told = self.server.answer(self.headers["host"], self.path, self.headers)
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def answer(host, path, headers):
    """Who signed this request, as STS says it; 403 where the signature is not that of these keys over these headers."""
    query = dict(parse_qsl(urlsplit(path).query))
    key = query["X-Amz-Credential"].partition("/")[0]
    keys = next(each for each in (KEYS, LONG_TERM) if each.access_key_id == key)
    if query["X-Amz-Signature"] != by_botocore(host, query, headers, keys):
        return 403, {"Error": {"Code": "SignatureDoesNotMatch"}}
    who = {"Account": "123456789012", "Arn": ROLE, "UserId": "AROAROLE:deployer.apps.eu-central-1.penstock"}
    return 200, {"GetCallerIdentityResponse": {"GetCallerIdentityResult": who}}


def by_botocore(host, query, headers, keys):
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signed = {name: headers[name] for name in query["X-Amz-SignedHeaders"].split(";") if name != "host"}
    plain = f"https://{host}/?Action={query['Action']}&Version={query['Version']}"
    request = AWSRequest(method="GET", url=plain, headers=signed)
    moment = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 - botocore's own form
    region = query["X-Amz-Credential"].split("/")[2]
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4QueryAuth(credentials, "sts", region, expires=int(query["X-Amz-Expires"])).add_auth(request)
    return dict(parse_qsl(urlsplit(request.url).query))["X-Amz-Signature"]


@pytest.fixture(scope="module")
def sts(tmp_path_factory):
    """verify(token, cluster's name, partition) -> (who, "") or (None, why not)."""
    place = tmp_path_factory.mktemp("sts")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sts)
    server.daemon_threads, server.answer, server.trust = True, answer, authority(place)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    environment = {
        "HOME": str(place),
        "PATH": os.defpath,
        "HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}",
        "SSL_CERT_FILE": str(server.trust.file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def verify(token, name="production", partition="aws"):
        command = [str(PROGRAM), "verify", "-t", token, "-i", name, "-o", "json", "--partition", partition]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            return None, done.stderr
        return json.loads(done.stdout[done.stdout.index("{") :]), ""

    yield verify
    server.shutdown()
    server.server_close()


def token(cluster=CLUSTER, keys=KEYS, *, ago=timedelta(0)):
    return eks.token(cluster, keys, datetime.now(UTC) - ago)


@pytest.mark.parametrize("keys", [KEYS, LONG_TERM], ids=["of a role", "of a user"])
def test_a_token_is_taken_for_its_cluster_and_says_whose_it_is(sts, keys):
    who, why = sts(token(keys=keys))
    assert why == ""
    assert (who["ARN"], who["AccessKeyID"]) == (ROLE, keys.access_key_id)
    assert who["CanonicalARN"] == "arn:aws:iam::123456789012:role/deployer"
    assert who["SessionName"] == "deployer.apps.eu-central-1.penstock"


def test_it_is_refused_for_another_cluster(sts):
    who, why = sts(token(), "staging")
    assert who is None
    assert "SignatureDoesNotMatch" in why


def test_it_is_taken_as_long_as_we_use_it_and_refused_after_its_quarter_of_an_hour(sts):
    used = timedelta(seconds=eks.TOKEN_SECONDS)
    assert sts(token(ago=used))[1] == ""
    who, why = sts(token(ago=timedelta(minutes=15, seconds=5)))
    assert who is None
    assert "X-Amz-Date parameter is expired (15 minute expiration)" in why


@pytest.mark.parametrize(
    ("partition", "region"), [(name, region) for name, regions in PARTITIONS.items() for region in regions]
)
def test_the_host_is_one_of_sts_in_every_partition(sts, partition, region):
    cluster = f"arn:{partition}:eks:{region}:123456789012:cluster/production"
    assert sts(token(cluster), partition=partition)[1] == ""


def test_a_token_of_one_partition_is_none_of_another(sts):
    assert "unexpected hostname" in sts(token(CLUSTER.replace("arn:aws:", "arn:aws-cn:")), partition="aws")[1]
