"""What the adapters on Google Cloud share: names of resources, one client, errors. Plain REST: none loads an SDK.

names.py     one plane's resources by name
client.py    calls to an API, with a token that is renewed before it ends
errors.py    Google's error codes as errors of ours
"""
