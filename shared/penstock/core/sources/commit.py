"""A tree that knows which commit it is of."""

from collections.abc import Mapping

from penstock.core.tree import Blob, MemoryTree


class CommitTree(MemoryTree):
    """A commit's files. ``subject``: first line of the commit's message.

    ``commit``: the commit object's content; ``tag``: that of the annotated tag that was asked for; b"" where unknown;
    ``submodules``: path -> commit of the repositories that belong there.
    """

    __slots__ = ("commit", "subject", "submodules", "tag")

    def __init__(
        self,
        files: dict[str, Blob],
        *,
        subject: str,
        commit: bytes = b"",
        tag: bytes = b"",
        submodules: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(files)
        self.subject, self.commit, self.tag, self.submodules = subject, commit, tag, dict(submodules or {})
