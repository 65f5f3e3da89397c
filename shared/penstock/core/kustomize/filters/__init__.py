"""One transformer a file: resources in, resources out."""
