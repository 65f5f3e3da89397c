import hashlib

from penstock.core.sources.bucket import BucketObject, kept, revision


def objects(*keys):
    return tuple(BucketObject(key=key, etag=f"etag-of-{key}", size=1) for key in keys)


def test_the_revision_is_the_digest_of_keys_and_etags_in_order():
    expected = hashlib.sha256(b"a/b etag-of-a/b\nc etag-of-c\n").hexdigest()
    assert revision(objects("c", "a/b")) == f"sha256:{expected}"
    assert revision(()) == "sha256:" + hashlib.sha256(b"").hexdigest()


def test_only_the_rules_of_the_top_and_of_the_document_count():
    everything = objects(
        "a.yaml", "pic.png", "dir/", "dir/.sourceignore", "dir/b.yaml", ".sourceignore", ".git/x", "keep.md"
    )
    found = [each.key for each in kept(everything, b"*.md\n", "!keep.md\ndir/b.yaml")]
    assert found == [".git/x", "a.yaml", "dir/.sourceignore", "keep.md", "pic.png"]
