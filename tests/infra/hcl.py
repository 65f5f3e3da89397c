"""Terraform modules checked without a provider: arguments by its schemas, references by what stands in the module."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2
from tests.infra.provider import Argument, Schemas, Type

META = frozenset({"count", "depends_on", "for_each", "lifecycle", "provider", "provisioner", "connection"})
MODULE_META = frozenset({"count", "depends_on", "for_each", "providers", "source", "version"})
_REFERENCE = re.compile(
    r"(?<![\w.\"])(?:(?P<data>data)\.)?(?P<first>[a-z]\w*)\.(?P<second>\w+)(?:\[(?:[^\[\]]|\[[^\]]*\])*\])?(?:\.(?P<third>\w+))?"
)


@dataclass(frozen=True, kw_only=True)
class Module:
    """What one directory of .tf files declares."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    locals: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Any] = field(default_factory=dict)
    resources: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    """By kind (resource, data), type and name."""


def read(folder: Path) -> Module:
    """The module of a directory. Raises what hcl2 raises for a file that is no HCL."""
    module = Module(folder=folder)
    plain = {"variable": module.variables, "output": module.outputs, "module": module.modules}
    for path in sorted(folder.glob("*.tf")):
        document = _parsed(path.read_text())
        for section, found in plain.items():
            for block in document.get(section, ()):
                found.update({_unquoted(name): body for name, body in block.items() if _named(name)})
        for block in document.get("locals", ()):
            module.locals.update({name: value for name, value in block.items() if _named(name)})
        for kind in ("resource", "data"):
            for block in document.get(kind, ()):
                for type_, named in block.items():
                    for name, body in named.items() if _named(type_) else ():
                        module.resources[kind, _unquoted(type_), _unquoted(name)] = body
    return module


@functools.cache
def _parsed(text: str) -> dict[str, Any]:
    return hcl2.loads(text)


def problems(module: Module, schemas: Schemas) -> list[str]:
    """Everything that ``terraform validate`` would refuse for names, one line each."""
    return [*_of_resources(module, schemas), *_of_modules(module), *_of_references(module, schemas)]


def _of_resources(module: Module, schemas: Schemas) -> Iterator[str]:
    for (kind, type_, name), body in module.resources.items():
        found = schemas.type(kind, type_)
        where = f"{kind} {type_}.{name}"
        if found is None:
            yield f"{where}: the provider has no {kind} {type_}"
            continue
        yield from _of_block(_without_meta(body), found, found.arguments, where)


def _without_meta(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in META}


def _of_block(body: Mapping[str, Any], type_: Type, known: Mapping[str, Argument], where: str) -> Iterator[str]:
    written = {name: value for name, value in body.items() if _named(name) and name != "dynamic"}
    dynamic = {
        _unquoted(name): dynamic["content"]
        for block in body.get("dynamic", ())
        for name, dynamic in block.items()
        if _named(name)
    }
    for name in [each for each in (*written, *dynamic) if each not in known]:
        yield f"{where}: no argument or block {name}"
    for name, argument in known.items():
        if argument.required and name not in written and name not in dynamic:
            yield f"{where}: {name} is required"
    for name, value in {**written, **dynamic}.items():
        if name in known:
            yield from _of_value(name in dynamic, value, type_, known[name], f"{where}.{name}")


def _of_value(dynamic: bool, value: Any, type_: Type, argument: Argument, where: str) -> Iterator[str]:
    blocks = isinstance(value, list) and all(isinstance(each, dict) and "__is_block__" in each for each in value)
    blocks = blocks and bool(value)
    if blocks and not argument.written_as_block:
        yield f"{where}: is an argument, not a block"
    elif argument.written_as_block and not blocks:
        yield f"{where}: is a block, not an argument"
    elif blocks:
        if len(value) > 1 and not argument.many:
            yield f"{where}: only one block is allowed"
        for each in value:
            yield from _of_block(each, type_, type_.blocks[argument.block], where)


def _of_modules(module: Module) -> Iterator[str]:
    for name, body in module.modules.items():
        called = read(module.folder / _unquoted(body["source"]))
        given = {each for each in body if _named(each)} - MODULE_META
        for each in sorted(given - set(called.variables)):
            yield f"module {name}: {each} is no variable of {called.folder.name}"
        for each, variable in called.variables.items():
            if "default" not in variable and each not in given:
                yield f"module {name}: {each} is required"


def _of_references(module: Module, schemas: Schemas) -> Iterator[str]:
    types = {type_ for _, type_, _ in module.resources}
    for where, text in _texts(module):
        for found in _REFERENCE.finditer(text):
            data, first, second, third = found["data"], found["first"], found["second"], found["third"]
            if first == "var" and second not in module.variables:
                yield f"{where}: no variable {second}"
            elif first == "local" and second not in module.locals:
                yield f"{where}: no local {second}"
            elif first == "module":
                yield from _of_output(module, second, third, where)
            elif first in types or schemas.knows(first):
                yield from _of_attribute(module, schemas, ("data" if data else "resource", first, second), third, where)


def _of_output(module: Module, name: str, output: str | None, where: str) -> Iterator[str]:
    if name not in module.modules:
        yield f"{where}: no module {name}"
    elif output and output not in read(module.folder / _unquoted(module.modules[name]["source"])).outputs:
        yield f"{where}: module {name} has no output {output}"


def _of_attribute(
    module: Module, schemas: Schemas, key: tuple[str, str, str], attribute: str | None, where: str
) -> Iterator[str]:
    if key not in module.resources:
        yield f"{where}: no {key[0]} {key[1]}.{key[2]}"
    elif attribute and (found := schemas.type(*key[:2])) and not found.can_read(attribute):
        yield f"{where}: {key[1]} has no attribute {attribute}"


def _texts(module: Module) -> Iterator[tuple[str, str]]:
    sections: dict[str, Any] = {
        **{f"{kind} {type_}.{name}": body for (kind, type_, name), body in module.resources.items()},
        **{f"local {name}": value for name, value in module.locals.items()},
        **{f"output {name}": body for name, body in module.outputs.items()},
        **{f"module {name}": body for name, body in module.modules.items()},
    }
    for where, value in sections.items():
        for text in _strings(value):
            yield where, text if text.startswith("${") else " ".join(re.findall(r"\$\{(.*?)\}", text))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _named(name: str) -> bool:
    return not name.startswith("__")


def _unquoted(text: str) -> str:
    return text.strip('"')
