"""What happens to a fleet: successive commits in which objects come, change, move to another Kustomization, and go."""

import functools
import random
from collections.abc import Mapping

import yaml
from tests.memory_plane import config_map, kustomization

OWNERS = ("one", "two", "three")
OBJECTS = tuple(f"o{number}" for number in range(6))

Model = dict[str, tuple[str, str]]
"""Object -> (its Kustomization, its data)."""


def story(chance: random.Random, *, least: int = 2, most: int = 5) -> list[Model]:
    """Models of successive commits; the last may be an old one again (a revert, a forced push)."""
    model: Model = {name: (chance.choice(OWNERS), "0") for name in OBJECTS if chance.random() < 0.7}
    models = [model]
    for number in range(chance.randint(least, most)):
        model = dict(model)
        for name in OBJECTS:
            dice = chance.random()
            if dice < 0.15:
                model.pop(name, None)
            elif dice < 0.4:
                model[name] = (chance.choice(OWNERS), str(number))
            elif dice < 0.5 and name in model:
                model[name] = (model[name][0], str(number + 1))
        models.append(model)
    if chance.random() < 0.3:
        models.append(chance.choice(models[:-1]))
    return models


def tree(model: Model, chance: random.Random) -> dict[str, str]:
    """The files of a model. A Kustomization that owns nothing may be there, or not; one may be renamed."""
    files = {"clusters/prod/keep.yaml": config_map("keep", "default")}
    owners = {owner for owner, _ in model.values()}
    for owner in OWNERS:
        if owner in owners or chance.random() < 0.7:
            files[f"clusters/prod/{owner}.yaml"] = _kustomization(owner)
            files[f"{owner}/stays.yaml"] = config_map(f"stays-{owner}")
    for name, (owner, data) in model.items():
        files[f"{owner}/{name}.yaml"] = _object(name, data)
    return files


@functools.cache
def _kustomization(name: str) -> str:
    return kustomization(name, name)


@functools.cache
def _object(name: str, data: str) -> str:
    return config_map(name, data=data)


def expected(files: Mapping[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    """name -> (owner, data) of every ConfigMap that a tree stands for, those of the root aside."""
    found = {}
    for path, text in files.items():
        owner, _, _ = path.partition("/")
        if f"clusters/prod/{owner}.yaml" in files:
            found |= {name: (owner, data) for name, data in _config_map(text).items()}
    return found


@functools.cache
def _config_map(text: str) -> dict[str, dict[str, str]]:
    """Data by name; nothing of another kind."""
    document = yaml.safe_load(text)
    return {document["metadata"]["name"]: document["data"]} if document["kind"] == "ConfigMap" else {}
