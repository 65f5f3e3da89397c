"""The Flux kinds, and our one own, as frozen dataclasses; a parser each, which reports a dotted path."""
