"""A tree that knows which commit it is of."""

from penstock.core.tree import Blob, MemoryTree


class CommitTree(MemoryTree):
    """A commit's files. ``subject``: first line of the commit's message."""

    __slots__ = ("subject",)

    def __init__(self, files: dict[str, Blob], *, subject: str) -> None:
        super().__init__(files)
        self.subject = subject
