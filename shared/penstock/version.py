"""The version of this release, and of the formats that it writes."""

__version__ = "0.1.0"
