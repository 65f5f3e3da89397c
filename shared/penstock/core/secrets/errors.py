"""What can go wrong with an encrypted file. No message ever holds a value, a key or a ciphertext."""

from penstock.core.errors import BuildFailed


class SopsError(BuildFailed):
    """Something SOPS-encrypted cannot be used; the message starts with the file or object, where known."""


class NoKey(SopsError):
    """None of the keys at hand opens the file."""


class MacMismatch(SopsError):
    """The file was changed after it was encrypted."""
