"""The commands of a fenced shell block, as a reader would type them."""

import importlib
import re
import shlex

cli = importlib.import_module("penstock.cli.main")  # `penstock.cli.main` is the function

_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")
_SEPARATORS = {"|", "||", "&&", ";", "&"}
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*")
_PLACEHOLDER_BRACKETS = re.compile(r"\[([^\]]*)\]")


def commands(fence):
    """Each simple command of a block as a list of words. ``console`` blocks: the lines behind ``$ ``."""
    found = []
    for line in _lines(fence):
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        words.whitespace_split, words.commenters = True, ""
        found += _split(list(words))
    return [command for command in (_bare(each) for each in found) if command]


def _lines(fence):
    lines = fence.text.splitlines()
    if fence.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return _joined(lines)


def _joined(lines):
    """Without here-documents and comments, with continued lines in one piece."""
    found, pending, until = [], "", ""
    for raw in lines:
        if until:
            until = "" if raw.strip() == until else until
            continue
        line = pending + re.sub(r"(^|\s)#.*$", "", raw)
        quoted = _is_open(line)
        pending = line.rstrip()[:-1] + " " if line.rstrip().endswith("\\") else f"{line}\n" if quoted else ""
        if pending:
            continue
        heredoc = _HEREDOC.search(line)
        until = heredoc[1] if heredoc else ""
        if line.strip():
            found.append(line.strip())
    assert not pending, pending
    assert not until, f"the here-document {until} does not end"
    return found


def _is_open(line):
    try:
        shlex.split(line)
    except ValueError:
        return True
    return False


def _split(words):
    found, current = [], []
    for word in words:
        if word in _SEPARATORS:
            found.append(current)
            current = []
        else:
            current.append(word)
    return [*found, current]


def _bare(words):
    """Without assignments in front and redirections behind."""
    if words[:1] == ["sudo"]:
        words = words[3:] if words[1] == "-u" else words[1:]
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif re.fullmatch(r"\d?(>>?|<)", word):
            skip = True
        elif not re.match(r"\d?(>|<)", word):
            kept.append(word)
    return kept


def is_penstock(words):
    return bool(words) and words[0].rpartition("/")[2] == "penstock"


def options(words):
    """``[--flag VALUE]`` of a synopsis taken as given, alternatives by their first."""
    text = _PLACEHOLDER_BRACKETS.sub(r"\1", " ".join(shlex.quote(word) if " " in word else word for word in words))
    return [word.split("|")[0] for word in shlex.split(text)]


def parser_of(name):
    """The real argparse parser of ``penstock NAME``. Raises KeyError for what is no subcommand."""
    assert name in cli.COMMANDS, f"there is no `penstock {name}`"
    return cli._parser(name, cli._load(name))


def subparser(parser, name):
    """The parser of one subcommand."""
    for action in parser._actions:
        if name in (action.choices or {}) and hasattr(action, "_parser_class"):
            return action.choices[name]
    raise KeyError(name)


def flags(parser):
    """Every flag of a parser and of its subcommands."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if hasattr(action, "_parser_class"):
            for child in action.choices.values():
                found |= flags(child)
    return found
