"""A Containerfile's steps, for machines without a builder: parsed, and carried out below a directory that stands for /."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """``words``: what stands behind ``name``, options apart; one text for RUN."""

    name: str
    words: tuple[str, ...]
    options: dict[str, str]


def steps(text):
    joined = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found = []
    for line in filter(str.strip, joined.splitlines()):
        name, _, rest = line.partition(" ")
        options = dict(re.findall(r"--(\w+)=(\S+)", rest)) if name == "COPY" else {}
        words = (rest.strip(),)
        if name not in {"RUN", "ENTRYPOINT", "CMD"}:
            words = tuple(word for word in shlex.split(rest) if not word.startswith("--"))
        elif name != "RUN":
            words = tuple(json.loads(rest))
        found.append(Step(name, words, options))
    return found


class Container:
    """``root``: stands for /; its absolute paths below ``places`` are led there. ``context``: what COPY sees."""

    def __init__(self, root, context, places):
        self.root, self.context, self.places = root, context, places
        self.base = root / "base"
        if not self.base.exists():
            subprocess.run([sys.executable, "-m", "venv", str(self.base)], check=True)

    def led(self, text):
        """The same with its paths below root."""
        return re.sub(rf"(?<![\w/.])({'|'.join(self.places)})\b", lambda found: str(self.root) + found[1], text)

    def carry_out(self, text):
        for step in steps(text):
            match step.name:
                case "COPY" if "from" not in step.options:
                    self.copy(*step.words)
                case "RUN":
                    self.run(step.words[0])
        return self

    def copy(self, *words):
        *patterns, target = words
        for pattern in patterns:
            found = list(self.context.glob(pattern))
            assert found, f"COPY {pattern}: there is none in the context"
            for path in found:
                place = Path(self.led(target))
                place.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place / path.name)

    def run(self, command):
        """In the shell, where `python` is a Python without anything installed."""
        for place in self.places:
            Path(self.led(place)).parent.mkdir(parents=True, exist_ok=True)
        if os.getuid() != 0:
            command = re.sub(r"chown \S+", "true", command)
        # without bytecode, which takes half of the time and shows nothing
        environment = {**os.environ, "PATH": f"{self.base / 'bin'}:{os.defpath}", "PIP_NO_COMPILE": "1"}
        environment = {name: text for name, text in environment.items() if not name.startswith(("PYTHON", "PYTEST"))}
        done = subprocess.run(
            ["sh", "-euc", self.led(command)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
