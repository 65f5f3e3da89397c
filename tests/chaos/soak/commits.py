"""What people commit: a fleet, and by chance another one."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.chaos.soak.fleet import (
    ACCOUNT,
    BREAKS,
    CONFIG_MAP,
    DEFINITION,
    DEPLOYMENT,
    GROUP,
    NAMESPACE,
    ROOT,
    SECRET,
    SPACE,
    WIDGET,
    Fleet,
    Key,
    Member,
    Owned,
)

MOST_MEMBERS, MOST_OBJECTS = 9, 40
COMING_AND_GOING = ("east", "west")
"""Namespaces."""
CRD: Key = (DEFINITION, "", f"widgets.{GROUP}")
KINDS = (CONFIG_MAP, CONFIG_MAP, CONFIG_MAP, SECRET, ACCOUNT, DEPLOYMENT)

Edit = Callable[["Author", Fleet], Fleet]


class Author:
    """``told``: in words, what the last commit changes.

    ``resting``: who has been suspended in Git since the last quiet point: nobody removes it until it has been resumed, or
    its objects would be left in the cluster, as in Flux.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.told = chance, ""
        self.resting = set[str]()
        self._folders = self._names = self._values = 0
        self._past: list[Fleet] = []

    def first(self) -> Fleet:
        fleet = Fleet()
        for _ in range(4):
            fleet = _new_member(self, fleet)
        for _ in range(8):
            fleet = _add(self, fleet)
        return fleet

    def next(self, fleet: Fleet, wanted: Sequence[str] = ()) -> Fleet:
        """Another commit after this one: one to three edits, or those that are ``wanted``."""
        edits = self.chance.choices(list(EDITS), weights=list(EDITS.values()), k=self.chance.choice((1, 1, 2, 3)))
        if wanted:
            edits = [next(edit for edit in EDITS if edit.__name__ == "_" + name.replace(" ", "_")) for name in wanted]
        found = fleet
        for edit in edits:
            found = edit(self, found)
        self.told = ", ".join(edit.__name__.lstrip("_").replace("_", " ") for edit in edits)
        self._past = [*self._past[-5:], fleet]
        return found

    def marked(self, fleet: Fleet) -> Fleet:
        """All is mended, and everybody has something to apply."""
        self.told = "mend all, and change one object of each"
        self._past = [*self._past[-5:], fleet]
        return fleet.mended().with_(mark=self.value())

    def earlier(self) -> Fleet | None:
        """One of the last few."""
        found = [each for each in self._past if self.resting <= each.members.keys()]
        return self.chance.choice(found) if found else None

    def removable(self, fleet: Fleet) -> list[str]:
        return [name for name in fleet.members if not fleet.below(name) & self.resting]

    def settled(self) -> None:
        """All that is resumed in Git has been resumed."""
        self.resting.clear()

    def value(self) -> str:
        self._values += 1
        return f"v{self._values}"

    def name(self, what: str) -> str:
        self._names += 1
        return f"{what}{self._names}"

    def folder(self) -> str:
        self._folders += 1
        return f"f{self._folders}"

    def owner(self, fleet: Fleet) -> str:
        return self.chance.choice([ROOT, *fleet.members, *fleet.members])

    def some(self, fleet: Fleet, most: int = 4) -> list[Key]:
        """Objects that may come and go by themselves."""
        keys = [key for key in fleet.objects if key[0] not in (SPACE, DEFINITION)]
        return self.chance.sample(keys, min(len(keys), self.chance.randint(1, most)))


def _change(author: Author, fleet: Fleet) -> Fleet:
    changed = {key: replace(fleet.objects[key], value=author.value()) for key in author.some(fleet)}
    return fleet.with_(objects={**fleet.objects, **changed})


def _add(author: Author, fleet: Fleet) -> Fleet:
    if len(fleet.objects) > MOST_OBJECTS:
        return _remove(author, fleet)
    spaces = [NAMESPACE, *(key[2] for key in fleet.objects if key[0] == SPACE)]
    kind = author.chance.choice([*KINDS, *([WIDGET] if CRD in fleet.objects else [])])
    key = (kind, author.chance.choice(spaces), f"o{author.chance.randint(1, 20)}")  # names come again
    owner = fleet.objects[key].owner if key in fleet.objects else author.owner(fleet)
    return fleet.with_(objects={**fleet.objects, key: Owned(owner=owner, value=author.value())})


def _remove(author: Author, fleet: Fleet) -> Fleet:
    gone = author.some(fleet)
    return fleet.with_(objects={key: owned for key, owned in fleet.objects.items() if key not in gone})


def _move(author: Author, fleet: Fleet) -> Fleet:
    """To others, some changed on the way."""
    moved = {
        key: Owned(
            owner=author.owner(fleet),
            value=author.value() if author.chance.random() < 0.3 else fleet.objects[key].value,
        )
        for key in author.some(fleet)
    }
    return fleet.with_(objects={**fleet.objects, **moved})


def _new_member(author: Author, fleet: Fleet) -> Fleet:
    """A child of the root or of another one, which may take objects of its parent along."""
    if len(fleet.members) >= MOST_MEMBERS:
        return _remove_member(author, fleet)
    parent = author.chance.choice([ROOT, *fleet.members])
    name = author.name("k")
    others = [each for each in fleet.members if each != parent]
    needs = tuple(author.chance.sample(others, 1)) if others and author.chance.random() < 0.3 else ()
    wait = author.chance.random() < 0.2
    member = Member(name=name, folder=author.folder(), parent=parent, depends_on=needs, wait=wait)
    objects = dict(fleet.objects)
    if author.chance.random() < 0.6:
        theirs = [key for key, owned in objects.items() if owned.owner == parent and key[0] not in (SPACE, DEFINITION)]
        for key in author.chance.sample(theirs, min(len(theirs), 3)):
            objects[key] = replace(objects[key], owner=name)
    return _without_circles(fleet.with_(members={**fleet.members, name: member}, objects=objects))


def _rename(author: Author, fleet: Fleet) -> Fleet:
    """The same path under another name; its children and dependents know."""
    if not author.removable(fleet):
        return fleet
    old, new = author.chance.choice(author.removable(fleet)), author.name("k")
    members = {}
    for member in fleet.members.values():
        needs = tuple(new if each == old else each for each in member.depends_on)
        name, parent = (new if each == old else each for each in (member.name, member.parent))
        members[name] = replace(member, name=name, parent=parent, depends_on=needs)
    objects = {key: replace(owned, owner=new) if owned.owner == old else owned for key, owned in fleet.objects.items()}
    return fleet.with_(members=members, objects=objects)


def _new_parent(author: Author, fleet: Fleet) -> Fleet:
    if not fleet.members:
        return fleet
    name = author.chance.choice(list(fleet.members))
    parent = author.chance.choice([ROOT, *(each for each in fleet.members if each not in fleet.below(name))])
    return _without_circles(fleet.with_(members={**fleet.members, name: replace(fleet.members[name], parent=parent)}))


def _remove_member(author: Author, fleet: Fleet) -> Fleet:
    """It and all below it; its objects go, or go to others."""
    if not author.removable(fleet):
        return fleet
    gone = fleet.below(author.chance.choice(author.removable(fleet)))
    members = {
        name: replace(each, depends_on=tuple(n for n in each.depends_on if n not in gone))
        for name, each in fleet.members.items()
        if name not in gone
    }
    left = fleet.with_(members=members)
    kept = author.chance.random() < 0.5
    objects = {}
    for key, owned in fleet.objects.items():
        if owned.owner not in gone:
            objects[key] = owned
        elif kept:
            objects[key] = replace(owned, owner=author.owner(left))
    return left.with_(objects=objects)


def _depend(author: Author, fleet: Fleet) -> Fleet:
    """On another one, or on nobody any more."""
    if len(fleet.members) < 2:
        return fleet
    name, other = author.chance.sample(list(fleet.members), 2)
    needs = () if fleet.members[name].depends_on else (other,)
    members = {**fleet.members, name: replace(fleet.members[name], depends_on=needs)}
    return _without_circles(fleet.with_(members=members))


def _suspend(author: Author, fleet: Fleet) -> Fleet:
    """In Git; or the other way round."""
    found = _with_one(author, fleet, lambda member: replace(member, suspended=not member.suspended))
    author.resting |= {name for name, member in found.members.items() if member.suspended}
    return found


def _break(author: Author, fleet: Fleet) -> Fleet:
    """Or mend."""
    return _with_one(
        author, fleet, lambda member: replace(member, broken="" if member.broken else author.chance.choice(BREAKS))
    )


def _define(author: Author, fleet: Fleet) -> Fleet:
    """A definition and objects of its kind in one commit, or all of them go."""
    if CRD in fleet.objects:
        return fleet.with_(
            objects={key: owned for key, owned in fleet.objects.items() if key != CRD and key[0] != WIDGET}
        )
    objects = {**fleet.objects, CRD: Owned(owner=ROOT, value="")}  # the root waits for nobody
    for number in range(author.chance.randint(1, 3)):
        objects[(WIDGET, NAMESPACE, f"o{number + 1}")] = Owned(owner=author.owner(fleet), value=author.value())
    return fleet.with_(objects=objects)


def _namespace(author: Author, fleet: Fleet) -> Fleet:
    """One comes with objects in it, or goes with all of them."""
    name = author.chance.choice(COMING_AND_GOING)
    key = (SPACE, "", name)
    if key in fleet.objects:
        return fleet.with_(
            objects={each: owned for each, owned in fleet.objects.items() if each != key and each[1] != name}
        )
    objects = {**fleet.objects, key: Owned(owner=ROOT, value="")}
    for number in range(author.chance.randint(1, 3)):
        objects[(CONFIG_MAP, name, f"o{number + 1}")] = Owned(owner=author.owner(fleet), value=author.value())
    return fleet.with_(objects=objects)


def _with_one(author: Author, fleet: Fleet, change: Callable[[Member], Member]) -> Fleet:
    if not fleet.members:
        return fleet
    name = author.chance.choice(list(fleet.members))
    return fleet.with_(members={**fleet.members, name: change(fleet.members[name])})


def _without_circles(fleet: Fleet) -> Fleet:
    """Who would wait for itself, by what it needs, by who has to store it or (``wait``) by its children, waits less."""
    members = dict(fleet.members)
    while (name := _in_a_circle(fleet.with_(members=members))) is not None:
        members[name] = replace(members[name], depends_on=(), wait=False)
    return fleet.with_(members=members)


def _in_a_circle(fleet: Fleet) -> str | None:
    def waits_for(name: str) -> set[str]:
        member = fleet.members[name]
        children = set(fleet.children(name)) if member.wait else set()
        return {*member.depends_on, *children, *({member.parent} - {ROOT})}

    for name, member in fleet.members.items():
        if not (member.depends_on or member.wait):
            continue
        seen, todo = set[str](), [*member.depends_on, *(fleet.children(name) if member.wait else ())]
        while todo:
            each = todo.pop()
            if each == name:
                return name
            if each not in seen:
                seen.add(each)
                came_of_it = member.wait and each in fleet.children(name) and each not in member.depends_on
                todo += waits_for(each) - ({name} if came_of_it else set())
    return None


EDITS: dict[Edit, int] = {
    _change: 5,
    _add: 4,
    _remove: 3,
    _move: 5,
    _new_member: 3,
    _rename: 3,
    _new_parent: 2,
    _remove_member: 2,
    _depend: 2,
    _suspend: 2,
    _break: 3,
    _define: 1,
    _namespace: 1,
}
