"""Whether a live object is what was rendered: field by field, by ownership."""
