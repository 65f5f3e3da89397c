"""The buckets port: to each provider its own API."""

from penstock.adapters.buckets.gcs import GcsBuckets
from penstock.adapters.buckets.s3 import S3Buckets
from penstock.core.sources.bucket import BucketObject
from penstock.ports.buckets import Buckets, RemoteBucket


class ProviderBuckets:
    """Buckets of Google Cloud Storage by its own API, all others by S3's."""

    def __init__(self) -> None:
        self._gcs, self._s3 = GcsBuckets(), S3Buckets()

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """See Buckets."""
        return self._of(bucket).objects(bucket, prefix, most=most)

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """See Buckets."""
        return self._of(bucket).read(bucket, key, most=most)

    def _of(self, bucket: RemoteBucket) -> Buckets:
        return self._gcs if bucket.provider == "gcp" else self._s3
