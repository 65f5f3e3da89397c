"""The identity port: ``clouds.py`` asks the clouds, ``memory.py`` makes up tokens.

    clouds.py   CloudIdentities: ServiceAccounts' tokens, exchanged and kept until they are due
    own.py      the plane's own identity: what the clouds' SDKs find, Azure's by plain requests
    http.py     requests to token endpoints: https, no redirects, bounds, three attempts
    kept.py     values with an expiry, one request at a time for each

Whoever needs keys of a cloud for somebody else's work (clusters, KMS) asks here; see ports/identity.py.
"""
