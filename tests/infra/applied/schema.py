"""A provider's whole schema of one type, as its published bindings say it: types, what is computed, how blocks nest.

Beside the type declarations (tests/infra/provider.py) this reads the bindings' code: a comment by attribute says whether it
is computed, optional or required, its getter or its entry in synthesizeHclAttributes what type it has. Types are written
as Terraform's JSON has them: "string", ["list", "string"], ["object", {...}].

What bindings do not say: defaults (they are null here), and which changes replace a resource.
"""

import re
from dataclasses import dataclass, field

from tests.infra.provider import SHAPE

_HEAD = re.compile(r"(?:class (\w+)|function (\w+)ToHclTerraform)|( +)synthesizeHclAttributes")
_ATTRIBUTE = re.compile(r" +// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)")
_NESTED = re.compile(r"= new ([\w.]+)\(this, \"\w+\"(?:, (\w+))?\)")
_GETTER = re.compile(r"(tolist\()?this\.(?:get(\w*)|interpolationFor)Attribute\('\w+'\)")
_ENTRY = re.compile(r" +(?:(\w+): \{$|type: \"(\w+)\"|storageClassType: \"(\w+)\")")
_PLAIN = {"String": "string", "Number": "number", "Boolean": "bool"}


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """``type``: as Terraform's JSON has it."""

    type: object
    required: bool = False
    optional: bool = False
    computed: bool = False


@dataclass(frozen=True, kw_only=True)
class Nested:
    """A block in a block. ``nesting``: single, list or set; ``most``: 0 is any number."""

    block: "Block"
    nesting: str
    least: int
    most: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """``attributes`` and ``blocks`` by name."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, Nested] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Class:
    """Of one class: by attribute its flags and the line after it, and what synthesizeHclAttributes says."""

    attributes: dict = field(default_factory=dict)
    lines: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)


def block(schemas, kind, name):
    """The schema of one type. ``kind``: resource, data, or provider (``name``: its prefix); None: there is none."""
    folder = schemas.folder(kind, name)
    if folder is None:
        return None
    text = "\n".join(path.read_text() for path in sorted(folder.rglob(f"*.{SHAPE}")))
    if kind == "provider":
        top, declared = next(name for name in _classes(text) if name.endswith("Provider")), None
    else:
        declared = schemas.type(kind, name)
        if declared is None:
            return None
        top = re.search(rf"class (\w+) extends .*\n +static tfResourceType = \"{name}\"", text)[1]
    return _Reader(_classes(text), declared).block(top)


class _Reader:
    def __init__(self, classes, declared):
        self._classes, self._declared = classes, declared

    def block(self, name):
        found = Block()
        of = self._classes[name]
        for attribute, flags in of.attributes.items():
            computed, optional, required = flags
            line = of.lines.get(attribute, "")
            nested = _NESTED.search(line)
            if nested and not nested[1].startswith("cdkt") and self._is_block(name, attribute, flags):
                found.blocks[attribute] = self._nested(nested[1], of.written[attribute][0], required)
                continue
            if self._declared is None and of.written[attribute][1][0].isupper():
                continue  # a provider's own blocks: no module has any
            found.attributes[attribute] = Attribute(
                type=self._type(of, attribute, line), required=required, optional=optional, computed=computed
            )
        return found

    def _is_block(self, owner, attribute, flags):
        """Whether it is written ``name {``, which the declarations say."""
        if flags == (True, False, False):
            return False
        interface = _struct(owner) if owner.endswith("OutputReference") else self._declared.top
        return self._declared.blocks[interface][attribute].written_as_block

    def _nested(self, class_, nesting, required):
        many = class_.endswith("List")
        block = self.block(f"{_struct(class_)}OutputReference")
        if nesting == "struct":
            return Nested(block=block, nesting="single", least=int(required), most=0)
        return Nested(block=block, nesting=nesting, least=int(required), most=0 if many else 1)

    def _type(self, of, attribute, line):
        if attribute in of.written and of.written[attribute][1][0].islower():
            return _written(*of.written[attribute])
        if nested := _NESTED.search(line):
            if nested[1].startswith("cdkt"):
                return ["map", _PLAIN[re.match(r"cdkt[nf]\.(\w+)Map", nested[1])[1]]]
            kind = of.written.get(attribute, ("",))[0] or ("set" if nested[2] == "true" else "list")
            return self._objects(nested[1], kind)
        getter = _GETTER.search(line)
        if getter is None or getter[2] is None:
            return "dynamic"
        return _got(getter[2], is_set=bool(getter[1]))

    def _objects(self, class_, kind):
        inner = self.block(f"{_struct(class_)}OutputReference")
        made = ["object", {name: each.type for name, each in inner.attributes.items()}]
        if class_.endswith("OutputReference") and kind == "struct":
            return made
        return ["map" if class_.endswith("Map") else kind, made]


def _struct(class_):
    return re.sub(r"(OutputReference|List|Map)$", "", class_)


def _written(kind, storage):
    """An argument's type, by its entry: ("set", "stringList")."""
    item = re.sub(r"(List|Map)+$", "", storage)
    plain = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}[item]
    if kind == "simple":
        return plain
    if kind in {"list", "set"} and storage.endswith(("MapList", "ListList")):
        return [kind, ["map" if storage.endswith("MapList") else "list", plain]]
    if kind == "map" and storage.endswith(("ListMap", "MapMap")):
        return ["map", ["list" if storage.endswith("ListMap") else "map", plain]]
    return [kind, plain]


def _got(getter, *, is_set):
    """A computed attribute's type, by its getter: ``StringMap``."""
    if getter == "List":
        getter = "StringList"
    if getter.endswith("Map"):
        return ["map", _PLAIN[getter.removesuffix("Map")]]
    if getter.endswith("List"):
        return ["set" if is_set else "list", _PLAIN[getter.removesuffix("List")]]
    return _PLAIN[getter]


def _classes(text):
    """Everything that the code says, by class."""
    found, of, attribute, entry, writing = {}, _Class(), "", "", False
    for line in text.splitlines():
        if head := _HEAD.match(line):
            attribute, writing = "", not head[1]
            if head[1]:
                of = found.setdefault(head[1], _Class())
            elif head[2]:
                of = found.setdefault(head[2][0].upper() + head[2][1:] + "OutputReference", _Class())
        elif one := _ATTRIBUTE.match(line):
            attribute, writing = one[1], False
            of.attributes[attribute] = tuple(each == "true" for each in one.groups()[1:])
        elif writing and (one := _ENTRY.match(line)):
            entry = one[1] or entry
            if one[2]:
                of.written[entry] = (one[2], "")
            elif one[3]:
                of.written[entry] = (of.written[entry][0], one[3])
        elif not writing and attribute:
            of.lines.setdefault(attribute, line)
    return found
