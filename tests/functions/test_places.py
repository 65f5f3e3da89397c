"""Places: so many work at once, in order; who waits for the world lets another in."""

import threading

from penstock.wiring.places import PlacedClock, Places


def test_who_waits_lets_another_in_and_comes_back_before_those_who_queue():
    places, order = Places(1), []
    waiting, woken = threading.Event(), threading.Event()
    clock = PlacedClock(places)

    def first():
        with places.taken():
            order.append("first begins")
            with clock.idle():
                waiting.set()
                woken.wait(30)
            order.append("first goes on")

    def second():
        with places.taken():
            order.append("second works")
            queue.start()
            woken.set()
            while len(places._queue) < 2:
                pass

    def third():
        while len(places._queue) < 1:
            pass
        with places.taken():
            order.append("third works")

    queue = threading.Thread(target=third)
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert waiting.wait(30)
    threads[1].start()
    for thread in (*threads, queue):
        thread.join(30)
    assert order == ["first begins", "second works", "first goes on", "third works"]


def test_never_more_than_there_are_places():
    places, lock, inside, most = Places(3), threading.Lock(), [0], [0]

    def work():
        for _ in range(50):
            with places.taken():
                enter(+1)
                enter(-1)
                with places.left():
                    pass
                enter(+1)
                enter(-1)

    def enter(change):
        with lock:
            inside[0] += change
            most[0] = max(most[0], inside[0])

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert 1 <= most[0] <= 3
    assert places._free == 3


def test_a_thread_without_a_place_waits_for_none():
    places = Places(1)
    with places.taken():
        done = threading.Event()

        def outside():
            with places.left():
                done.set()

        thread = threading.Thread(target=outside)
        thread.start()
        assert done.wait(30)
        thread.join(30)
