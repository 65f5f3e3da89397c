"""Looking at a Bucket: which objects it has, and their bytes."""

from concurrent.futures import ThreadPoolExecutor

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal
from penstock.core.flux.bucket import LDAP, Bucket
from penstock.core.flux.source_fields import AWS, GENERIC
from penstock.core.identity.aws import sts_region
from penstock.core.sources.artifact import is_clean
from penstock.core.sources.bucket import BucketObject, kept, revision
from penstock.core.sources.ignore import IGNORE_FILE
from penstock.core.sources.outcome import bucket_words
from penstock.core.tree import MemoryTree, blob
from penstock.ports.buckets import FAILED, LdapSts, RemoteBucket
from penstock.ports.deps import Deps
from penstock.stages.fetch.identity import identity_of
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.visit import Found, Visit, failure, is_stored, keep, proxy_of, secret_of, unchanged

_MOST_OBJECTS = 20_000
_MOST_BYTES = 256 * 1024 * 1024
_MOST_IGNORE_BYTES = 1024 * 1024
_AT_ONCE = 16


def look(visit: Visit, bucket: Bucket) -> Found:
    """List the bucket; read and store its objects unless the very same are stored already."""
    deps = visit.deps
    try:
        remote = _remote(visit, bucket)
    except Terminal as error:
        return failure(visit, error)
    try:
        objects = _listed(remote, bucket, deps)
        found = revision(objects)
        if is_stored(visit, found):
            return unchanged(visit, found, bucket_words(found))
        tree, objects = _read(remote, objects, deps)
    except PenstockError as error:
        return failure(visit, error, doing=f"fetch from bucket '{bucket.bucket}' failed")
    found = revision(objects)
    return keep(visit, found, tree, bucket_words(found))


def _remote(visit: Visit, bucket: Bucket) -> RemoteBucket:
    cloud = bucket.provider != GENERIC and not bucket.secret
    return RemoteBucket(
        name=bucket.bucket,
        endpoint=bucket.endpoint,
        provider=bucket.provider,
        region=_region(bucket),
        credentials=secret_of(visit, bucket.namespace, bucket.secret),
        identity=identity_of(visit, bucket) if cloud else None,
        sts=_sts(visit, bucket),
        proxy=proxy_of(visit, bucket),
        certificates=secret_of(visit, bucket.namespace, bucket.cert_secret),
        allowed_hosts=policy_of(visit.message.cluster, visit.deps).allowed_hosts,
        timeout=bucket.timeout.total_seconds(),
    )


def _region(bucket: Bucket) -> str:
    """Keys of a ServiceAccount's role come from the STS of this region: the one that ``sts`` names, where it does."""
    if bucket.sts is None or bucket.sts.provider != AWS:
        return bucket.region
    named = sts_region(bucket.sts.endpoint)
    if bucket.region not in ("", named):
        raise Refused(f"spec.sts.endpoint is in region {named}, and spec.region is {bucket.region}", reason=FAILED)
    return named


def _sts(visit: Visit, bucket: Bucket) -> LdapSts | None:
    if bucket.sts is None or bucket.sts.provider != LDAP or bucket.secret:
        return None
    return LdapSts(
        endpoint=bucket.sts.endpoint,
        credentials=secret_of(visit, bucket.namespace, bucket.sts.secret),
        certificates=secret_of(visit, bucket.namespace, bucket.sts.cert_secret),
    )


def _listed(remote: RemoteBucket, bucket: Bucket, deps: Deps) -> tuple[BucketObject, ...]:
    """The objects that belong to the artifact. Raises Refused where they are too many, or too large."""
    everything = deps.buckets.objects(remote, bucket.prefix, most=_MOST_OBJECTS)
    ignore_file = deps.buckets.read(remote, IGNORE_FILE, most=_MOST_IGNORE_BYTES)
    objects = kept(everything, ignore_file[0] if ignore_file else b"", bucket.ignore)
    size = sum(each.size for each in objects)
    if size > _MOST_BYTES:
        raise Refused(f"its objects have {size} bytes, over the limit of {_MOST_BYTES}: see spec.prefix", reason=FAILED)
    unclean = next((each.key for each in objects if not is_clean(each.key)), None)
    if unclean is not None:
        raise Refused(f"object '{unclean[:200]}' has no name that a file can have", reason=FAILED)
    if not everything and bucket.prefix:
        raise NotFound(f"no object begins with prefix '{bucket.prefix}'", reason=FAILED)
    return objects


def _read(
    remote: RemoteBucket, objects: tuple[BucketObject, ...], deps: Deps
) -> tuple[MemoryTree, tuple[BucketObject, ...]]:
    """The files, and the objects as they were read: one that is gone by now is no part of it."""

    def one(each: BucketObject) -> tuple[bytes, str] | None:
        return deps.buckets.read(remote, each.key, most=_MOST_BYTES)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = list(pool.map(one, objects))
    there = [(each, answer) for each, answer in zip(objects, answers, strict=True) if answer is not None]
    if sum(len(data) for _, (data, _etag) in there) > _MOST_BYTES:
        raise Refused(f"its objects grew over the limit of {_MOST_BYTES} bytes", reason=FAILED)
    tree = MemoryTree({each.key: blob(data) for each, (data, _etag) in there})
    return tree, tuple(BucketObject(key=each.key, etag=etag, size=each.size) for each, (_data, etag) in there)
