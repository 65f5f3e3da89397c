"""What the API server said about rights, for a while."""

from penstock.adapters.cluster import remembered
from penstock.adapters.cluster.remembered import SECONDS, Remembered


def test_an_answer_is_kept_for_a_while():
    now = [0.0]
    kept = Remembered(clock=lambda: now[0])
    kept.put(("may", "x"), True)
    kept.put(("list", "y"), "no")
    now[0] = SECONDS - 1
    assert (kept.get(("may", "x")), kept.get(("list", "y")), kept.get("z")) == (True, "no", None)
    now[0] = SECONDS
    assert (kept.get(("may", "x")), kept.get(("list", "y"))) == (None, None)


def test_no_more_than_so_many_are_kept(monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 2)
    kept = Remembered()
    for number in range(3):
        kept.put(number, True)
    assert [kept.get(number) for number in range(3)] == [None, True, True]
