"""Azure's own emulator of Blob Storage, on loopback. Not built by `make tools`: npm installs it (see missing())."""

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

from tests.controlplane.build import cache

from penstock.adapters.buckets.providers import ProviderBuckets
from penstock.core.sources import azure_blob
from penstock.ports.buckets import RemoteBucket

VERSION = "3.35.0"
BINARY = cache() / f"azurite-{VERSION}" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = base64.b64encode(b"canary-azure-account-key").decode()


def missing():
    """Why it is not tested here, or ""."""
    if BINARY.exists() and shutil.which("node"):
        return ""
    return f"azurite is not installed: npm install --prefix {BINARY.parents[2]} azurite@{VERSION}"


class Azurite:
    """A bucket of its own in an account with KEY."""

    def __init__(self, folder, bucket):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.buckets, self.bucket = ProviderBuckets(), bucket
        self.url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self._process = subprocess.Popen(
            [str(BINARY), "--silent", "--skipApiVersionCheck", "--blobPort", str(port), "--location", str(folder)],
            env={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}", "PATH": "/usr/bin:/bin:/usr/local/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(400):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                time.sleep(0.05)
        self._send("PUT", f"/{bucket}?restype=container")

    def close(self):
        self._process.terminate()
        self._process.wait(10)

    def put(self, key, data):
        self._send("PUT", f"/{self.bucket}/{urllib.parse.quote(key)}", data)

    def remote(self, **more):
        found = {"name": self.bucket, "endpoint": self.url, "provider": "azure", "allowed_hosts": ("127.0.0.1",)}
        return RemoteBucket(**{**found, "credentials": {"accountKey": KEY.encode()}, **more})

    def sas(self, permissions="rl"):
        """An account's signature for reading and listing."""
        end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = [ACCOUNT, permissions, "b", "sco", "", end, "", "https,http", azure_blob.VERSION, "", ""]
        signature = _signed("\n".join(fields))
        found = {"sv": azure_blob.VERSION, "ss": "b", "srt": "sco", "sp": permissions, "se": end, "spr": "https,http"}
        return urllib.parse.urlencode({**found, "sig": signature}).encode()

    def _send(self, method, path, data=b""):
        """With a SharedKey of the test's own making, so that the adapter's is not checked by itself."""
        url = self.url + path
        headers = {
            "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "x-ms-version": azure_blob.VERSION,
        }
        if "?" not in path:
            headers["x-ms-blob-type"] = "BlockBlob"
        parts = urllib.parse.urlsplit(url)
        named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        query = "".join(f"\n{k}:{v}" for k, v in sorted(urllib.parse.parse_qsl(parts.query)))
        length = str(len(data)) if data else ""
        text = f"{method}\n\n\n{length}\n\napplication/octet-stream\n\n\n\n\n\n\n{named}/{ACCOUNT}{parts.path}{query}"
        headers |= {"Authorization": f"SharedKey {ACCOUNT}:{_signed(text)}", "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        urllib.request.urlopen(request, timeout=20).close()


def _signed(text):
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
