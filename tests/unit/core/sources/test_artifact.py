import json
import time
import zlib

import pytest

from penstock.core.errors import Terminal
from penstock.core.sources.artifact import MOST_BYTES, decode, digest_of, encode, is_clean
from penstock.core.tree import MemoryTree, blob, memory_tree

TREE = MemoryTree({"b/run.sh": blob(b"#!", executable=True), "a.yaml": blob(b"a: 1\n"), "empty": blob(b"")})


@pytest.mark.parametrize("tree", [TREE, MemoryTree({}), memory_tree({"x" * 300: b"\0" * 1000})])
def test_a_tree_comes_back_as_it_was(tree):
    assert list(decode(encode(tree).data).items()) == list(tree.items())


def test_equal_trees_are_equal_artifacts_and_others_are_not():
    again = MemoryTree(dict(reversed(list(TREE.items()))))
    assert encode(again) == encode(TREE)
    assert encode(TREE).digest == digest_of(encode(TREE).data)
    digests = {
        encode(t).digest for t in (TREE, MemoryTree({"a": blob(b"")}), MemoryTree({"a": blob(b"", executable=True)}))
    }
    assert len(digests) == 3


def packed(index, content=b"", *, magic=b"penstock-artifact", number=b"1", size=None, cut=None):
    text = index if isinstance(index, bytes) else json.dumps(index).encode()
    body = len(text).to_bytes(4, "big") + text + content
    length = len(body) if size is None else size
    return b"%s %s %d\n" % (magic, number, length) + zlib.compress(body)[:cut]


def index(*paths, sizes=None, executable=()):
    return {"paths": paths, "sizes": [0] * len(paths) if sizes is None else sizes, "executable": list(executable)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an artifact"),
        (b"PK\x03\x04 zip", "not an artifact"),
        (packed(index("a"), magic=b"other"), "not an artifact"),
        (packed(index("a"), number=b"2"), "format 2"),
        (packed(index("a"), size=MOST_BYTES + 1), "over the limit"),
        (packed(index("a"), size=3), "over the limit"),
        (packed(index("a"), size=10), "not an artifact"),
        (packed(index("a"), size=1000), "not an artifact"),
        (packed(index("a"), cut=-6), "not an artifact"),
        (packed(b"{"), "not an artifact"),
        (packed({"paths": ["a"]}), "not an artifact"),
        (packed(index("a", sizes=[1])), "not an artifact"),
        (packed(index("a", "b", sizes=[-1, 1])), "not an artifact"),
        (packed(index("a", sizes=[])), "not an artifact"),
        (packed(index("../a")), "not an artifact"),
        (packed(index(*(str(n) for n in range(100_001)))), "100001 files"),
    ],
)
def test_what_is_no_artifact_is_refused(data, message):
    with pytest.raises(Terminal, match=message):
        decode(data)


def test_a_bomb_is_not_unpacked():
    bomb = b"penstock-artifact 1 1000\n" + zlib.compress(b"\0" * 50_000_000)
    with pytest.raises(Terminal):
        decode(bomb)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("a", True),
        ("a/b..c", True),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("./a", False),
        ("a/../b", False),
        ("a\0", False),
    ],
)
def test_clean_paths(path, clean):
    assert is_clean(path) is clean


def test_five_thousand_files_decode_in_a_blink():
    data = encode(memory_tree({f"apps/{n % 50}/{n}.yaml": f"kind: ConfigMap # {n}\n" * 40 for n in range(5000)})).data
    spent = []
    for _ in range(3):
        start = time.process_time()
        assert len(decode(data)) == 5000
        spent.append(time.process_time() - start)
    assert min(spent) < 0.2
