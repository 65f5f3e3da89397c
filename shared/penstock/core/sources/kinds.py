"""The kinds of sources that fetch looks at by itself; ExternalArtifacts are made by ArtifactGenerators."""

FETCHED = ("GitRepository", "OCIRepository", "Bucket")
EXTERNAL_ARTIFACT = "ExternalArtifact"
ARTIFACTS = (*FETCHED, EXTERNAL_ARTIFACT)
"""What a Kustomization's sourceRef, and an ArtifactGenerator's source, may name."""
