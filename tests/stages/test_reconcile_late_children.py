"""A child whose record is written minutes late, by a run that everybody has overtaken, is found and removed all the same."""

from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

KEY = "object/prod/Kustomization/flux-system/one"
FILES = {
    "clusters/prod/ns.yaml": namespace("apps"),
    "clusters/prod/one.yaml": kustomization("one", "one"),
    "one/a.yaml": config_map("a", key="1"),
}


def test_a_child_that_is_stored_after_it_was_removed_is_removed_again(monkeypatch):
    plane = MemoryPlane()
    plane.push(FILES)
    put, late = plane.state.put, []

    def slow(key, value, **options):
        if key == KEY and not late:
            late.append(options["expected"])
            plane.reconcile("flux-system")  # another run stores it, …
            assert plane.config_map("a") == {"key": "1"}
            plane.push(dict.fromkeys(["clusters/prod/one.yaml", "one/a.yaml"]))
            plane.settle()  # … and a commit takes it away
            assert not plane.known("Kustomization", "one")
        return put(key, value, **options)

    monkeypatch.setattr(plane.state, "put", slow)
    plane.settle()
    assert late == [""]
    plane.settle()
    assert not plane.known("Kustomization", "one")
    assert plane.config_map("a") is None
    assert plane.ready("flux-system").startswith("True")
