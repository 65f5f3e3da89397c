"""CEL expressions that say yes or no: parsed or type-checked once, evaluated on JSON-like data, within bounds.

As Flux's ``runtime/cel`` sets it up: the language's standard functions and the libraries strings, sets, encoders and
optional types; numbers of different types compare; times are UTC; ``matches`` is RE2. Bounds: the length of a text, the
runtime's own limits (nesting of 32, 10,000 iterations), and the work that an expression could make of its data
(core.cel.work). The runtime is loaded with the first expression, never before.
"""

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from penstock.core.cel import sets
from penstock.core.cel.work import too_much
from penstock.core.errors import Terminal, Transient

LONGEST = 10_000
"""Characters of an expression."""

_STATUS = re.compile(r"^[A-Z_]+: ")
_CODE = re.compile(r" \[[A-Z_]+\]$")
_MISSING_KEY = re.compile(r'Key not found in map : "?(.*?)"?$')


class InvalidExpression(Terminal):
    """The text is no expression, or not one that says yes or no. ``str()`` says which and where."""

    reason = "InvalidCELExpression"


class EvaluationFailed(Transient):
    """It cannot be told for this data (a missing field, a wrong type, too much work): other data may tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """An expression that is ready to be evaluated. ``text``: as it was written."""

    text: str
    program: Any = field(repr=False, compare=False)

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether it is true of ``data``: each key is a variable, each value JSON-like (no bytes, no dates).

        Raises EvaluationFailed, in Flux's words. Its message names fields, never their values.
        """
        problem = too_much(self.text, data)
        if problem:
            raise EvaluationFailed(f"failed to evaluate the CEL expression '{self.text}': {problem}")
        try:
            found = self.program.eval(data=data)
        except RuntimeError as error:  # how the runtime reports its own limits
            raise EvaluationFailed(_failure(self.text, str(error))) from error
        kind = found.type().name()
        if kind == "ERROR":
            raise EvaluationFailed(_failure(self.text, str(found.value())))
        if kind != "BOOL":
            raise EvaluationFailed(f"failed to evaluate CEL expression as boolean: '{self.text}'")
        return bool(found.value())


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """An expression whose variables are not known beforehand: any top-level field of an object.

    Raises InvalidExpression where the syntax is wrong; everything else shows when it is evaluated.
    """
    return Expression(text=text, program=_compiled(text, (), check=False))


@lru_cache(maxsize=512)
def compile_boolean(text: str, variables: tuple[str, ...]) -> Expression:
    """An expression over these variables (each an object) that is certain to be a boolean.

    Raises InvalidExpression for wrong syntax, a variable or function that is not there, and any other type: a field
    alone may hold anything, so Flux refuses ``dep.ready`` and takes ``dep.ready == true``.
    """
    program = _compiled(text, variables, check=True)
    found = program.return_type().name()
    if found != "BOOL":
        raise InvalidExpression(f"CEL expression output type mismatch: expected bool, got {found.lower()}")
    return Expression(text=text, program=program)


def _compiled(text: str, variables: tuple[str, ...], *, check: bool) -> Any:
    if len(text) > LONGEST:
        raise InvalidExpression(f"a CEL expression is {len(text)} characters long, at most {LONGEST} are allowed")
    try:
        return _environment(variables).compile(text, disable_check=not check)
    except RuntimeError as error:
        told = _CODE.sub("", _STATUS.sub("", str(error).strip()))
        raise InvalidExpression(f"failed to parse the CEL expression '{text}': {told}") from error


@lru_cache(maxsize=16)
def _environment(variables: Sequence[str]) -> Any:
    """The runtime, loaded where it is first needed: 35 ms, 50 MB on disk, nothing that other stages want."""
    cel = importlib.import_module("cel_expr_python.cel")
    extensions = [
        getattr(importlib.import_module(f"cel_expr_python.ext.{module}"), name)()
        for module, name in (
            ("ext_strings", "ExtStrings"),
            ("ext_encoders", "ExtEncoders"),
            ("ext_optional", "ExtOptional"),
        )
    ]
    kind = cel.Type
    any_list = kind.List(kind.DYN)
    functions = [
        cel.FunctionDecl(
            f"sets.{name}", [cel.Overload(f"list_sets_{name}_list", kind.BOOL, [any_list, any_list], False, function)]
        )
        for name, function in sets.FUNCTIONS.items()
    ]
    an_object = kind.Map(kind.STRING, kind.DYN)
    return cel.NewEnv(
        variables=dict.fromkeys(variables, an_object),
        extensions=extensions,
        functions=functions,
    )


def _failure(text: str, told: str) -> str:
    """Flux's sentence, without what the runtime quotes of the data: only keys that the expression names itself."""
    told = _CODE.sub("", _STATUS.sub("", told.strip())).partition("\n")[0]
    missing = _MISSING_KEY.search(told)
    if missing:
        told = f"no such key: {missing[1]}" if missing[1] in text else "no such key"
    elif told.startswith("invalid regular expression"):
        told = "invalid regular expression"
    return f"failed to evaluate the CEL expression '{text}': {told}"
