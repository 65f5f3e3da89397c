"""What the adapters on AWS share: names of resources, clients, errors. None of these modules loads botocore.

names.py     one plane's resources by name
clients.py   calls to a service, each client made at its first call
errors.py    AWS's error codes as errors of ours
"""
