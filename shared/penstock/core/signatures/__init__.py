"""Signatures of what sources bring: artifacts (Cosign, Notation), Git commits and tags. Pure: bytes in, a verdict out.

keys.py        PEM public keys; one signature by one key
attached.py    what a registry keeps beside an artifact, as its manifests name it
cosign.py      Cosign by key: simple signing payloads, and DSSE envelopes of Sigstore bundles
trust_root.py  Sigstore's trusted_root.json: certificate authorities, logs
keyless.py     Cosign without keys: Fulcio's certificate, its SCT, Rekor's promise, the identity
bundles.py     Sigstore bundles without keys, by sigstore-python
notation.py    Notary Project signatures (JWS) under a trust policy
git_objects.py what of a commit or tag is signed, and its signature
sshsig.py      OpenSSH signatures
pgp.py         OpenPGP signatures

Every check raises ``Refused`` (reason VerificationError) or ValueError; nothing it returns could pass for a yes.
"""
