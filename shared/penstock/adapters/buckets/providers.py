"""The buckets port: to each provider its own API."""

from penstock.adapters.buckets.azure import AzureBuckets
from penstock.adapters.buckets.gcs import GcsBuckets
from penstock.adapters.buckets.s3 import S3Buckets
from penstock.adapters.identity.logins import SourceLogins
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import Buckets, RemoteBucket


class ProviderBuckets:
    """Buckets of Google Cloud Storage and Azure by their own APIs, all others by S3's."""

    def __init__(self, logins: SourceLogins | None = None) -> None:
        self._s3 = S3Buckets(logins)
        self._others: dict[str, Buckets] = {"gcp": GcsBuckets(logins), "azure": AzureBuckets(logins)}

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets."""
        return self._of(bucket).objects(bucket, prefix, most=most)

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets."""
        return self._of(bucket).read(bucket, key, most=most)

    def _of(self, bucket: RemoteBucket) -> Buckets:
        return self._others.get(bucket.provider, self._s3)
