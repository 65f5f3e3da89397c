"""Looking at a Bucket: which objects it has, and their bytes."""

from concurrent.futures import ThreadPoolExecutor

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal
from penstock.core.flux.bucket import Bucket
from penstock.core.sources.artifact import is_clean
from penstock.core.sources.bucket import BucketObject, kept, revision
from penstock.core.sources.ignore import IGNORE_FILE
from penstock.core.sources.outcome import bucket_words
from penstock.core.tree import MemoryTree, blob
from penstock.ports.buckets import FAILED, RemoteBucket
from penstock.ports.deps import Deps
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.visit import Found, Visit, failure, is_stored, keep, secret_of, unchanged

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
    return RemoteBucket(
        name=bucket.bucket,
        endpoint=bucket.endpoint,
        provider=bucket.provider,
        region=bucket.region,
        credentials=secret_of(visit, bucket.namespace, bucket.secret),
        certificates=secret_of(visit, bucket.namespace, bucket.cert_secret),
        allowed_hosts=policy_of(visit.message.cluster, visit.deps).allowed_hosts,
        timeout=bucket.timeout.total_seconds(),
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
