"""Remotes for the git port's suite: a real repository behind a real Git server, and one in memory."""

import shutil

from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.git.server import GitServer
from penstock.core.tree import blob
from penstock.ports.git import Remote

LOGIN = {"username": b"flux", "password": b"hunter2"}


class ServedRemote:
    """A bare repository of a GitServer. ``files``: path -> bytes; those in ``executable`` get the bit."""

    def __init__(self, server: GitServer, name: str = "fleet") -> None:
        self.server, self.name, self.git = server, name, DulwichGit()
        self.url = server.create(name)
        self.work = server.root / f"{name}.work"

    def commit(self, files, *, ref="refs/heads/main", subject="change", executable=(), links=()):
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for path, data in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if path in executable else 0o644)
        for path, target in links:
            (self.work / path).symlink_to(target)
        self._run("symbolic-ref", "HEAD", ref)
        self._run("read-tree", "--empty")
        self._run("add", "--all", "--force")
        self._run(
            "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "--message", subject
        )
        return self._run("rev-parse", "HEAD").strip()

    def point(self, ref, commit):
        self._run("update-ref", *([ref, commit] if commit else ["-d", ref]))

    def annotate(self, tag, commit):
        self._run("-c", "user.name=a", "-c", "user.email=a@b", "tag", "--annotate", "--message", tag, tag, commit)
        return self._run("rev-parse", f"refs/tags/{tag}").strip()

    def require_login(self):
        self.server.logins = [("flux", "hunter2")]

    def _run(self, *arguments):
        return self.server.run("--git-dir", str(self.server.path(self.name)), "--work-tree", str(self.work), *arguments)


class MemoryRemote:
    def __init__(self) -> None:
        self.git, self.url = MemoryGit(), "https://git.example.com/fleet.git"
        self.git.create(self.url)

    def commit(self, files, *, ref="refs/heads/main", subject="change", executable=(), links=()):
        blobs = {path: blob(data, executable=path in executable) for path, data in files.items()}
        return self.git.commit(self.url, blobs, ref=ref, subject=subject)

    def point(self, ref, commit):
        self.git.point(self.url, ref, commit)

    def annotate(self, tag, commit):
        return self.git.tag(self.url, tag, commit)

    def require_login(self):
        self.git.require(self.url, LOGIN)


def remote_of(served, **more):
    return Remote(url=served.url, timeout=20, **more)
