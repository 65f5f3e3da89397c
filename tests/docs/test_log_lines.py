"""docs/serve.md lists the lines of the log with their outcomes: those that the code records, and no others."""

import ast
import re

from tests.docs.markdown import ROOT, table

from penstock.core.reconcile.plan import Action

CODE = ROOT / "shared/penstock"
PAGE = "docs/serve.md"
HANDED_ON = {"ports/telemetry.py", "adapters/telemetry/fanout.py"}
"""What passes lines on, by whatever name."""


class Module:
    """One file of the code: its calls that record a line, and what they record."""

    def __init__(self, path):
        self.tree = ast.parse(path.read_text())
        self.path = path.relative_to(CODE).as_posix()

    def lines(self):
        """(message, outcomes) of each; "" is none."""
        for function in ast.walk(self.tree):
            if isinstance(function, ast.FunctionDef):
                for call in ast.walk(function):
                    if is_record(call):
                        outcomes = self.outcomes(call, function)
                        yield from ((name, outcomes) for name in self.names(call.args[0], function))

    def names(self, word, function):
        match word:
            case ast.Constant():
                return {word.value}
            case ast.IfExp():
                return self.names(word.body, function) | self.names(word.orelse, function)
            case ast.BinOp(left=ast.Constant(value=head), right=ast.Attribute(attr="value")):
                written = {Action.CREATED, Action.CONFIGURED, Action.DELETED}
                return {head + action.value for action in written}
            case ast.Name(id=name):
                place = [argument.arg for argument in function.args.args].index(name)
                calls = [each for each in ast.walk(self.tree) if calls_of(each, function.name)]
                return {found for each in calls for found in self.names(each.args[place], function)}
        raise AssertionError(f"{self.path}: what is recorded here? {ast.unparse(word)}")

    def outcomes(self, call, function):
        given = {each.arg: each.value for each in call.keywords}
        if "outcome" in given:
            value = given["outcome"]
            if isinstance(value, ast.Name):
                (value,) = [
                    each.value
                    for each in ast.walk(function)
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == value.id
                ]
            return strings(value)
        return (self.said_in_dicts() if None in given else set()) or {""}

    def said_in_dicts(self):
        """Outcomes that stand in dicts, from which lines get them; {} beside one is none."""
        dicts = [each for each in ast.walk(self.tree) if isinstance(each, ast.Dict)]
        pairs = [pair for each in dicts for pair in zip(each.keys, each.values, strict=True)]
        found = {value for key, item in pairs if is_text(key, "outcome") for value in strings(item)}
        return found | ({""} if found and any(not each.keys for each in dicts) else set())


def is_record(node):
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"):
        return False
    return re.search(r"(telemetry|log|port\('telemetry'\))$", ast.unparse(node.func.value)) is not None


def calls_of(node, name):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def is_text(node, text):
    return isinstance(node, ast.Constant) and node.value == text


def strings(node):
    """Those that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return strings(node.body) | strings(node.orelse)
    return set()


def kinds():
    """How runs end: of messages and ticks by Outcome, of requests by what wiring/http.py says."""
    outcomes = ast.walk(ast.parse((CODE / "wiring/outcome.py").read_text()))
    runs = ast.walk(ast.parse((CODE / "wiring/run.py").read_text()))
    calls = [each for each in (*outcomes, *runs) if calls_of(each, "Outcome")]
    found = {text for call in calls for each in call.keywords if each.arg == "kind" for text in strings(each.value)}
    return found | Module(CODE / "wiring/http.py").said_in_dicts() - {""}


def recorded():
    found = {}
    for path in sorted(CODE.rglob("*.py")):
        if path.relative_to(CODE).as_posix() not in HANDED_ON and ".record(" in path.read_text():
            for name, outcomes in Module(path).lines():
                found.setdefault(name, set()).update(outcomes)
    return {**found, "stage finished": kinds(), "work after the stage failed": kinds() - {"done"}}


def listed():
    found = {}
    for names, outcomes, _ in table(PAGE, "message", "outcome", "says"):
        said = set(re.findall(r"`(\w+)`", outcomes)) | ({""} if not outcomes or "none" in outcomes else set())
        found.update(dict.fromkeys(re.findall(r"`([^`]+)`", names), said))
    return found


def test_lines_and_their_outcomes_are_those_that_the_code_records():
    assert len(recorded()) > 30
    assert recorded() == listed()
