"""Who the plane is to a cloud: ServiceAccounts, what they are exchanged for, and the requests that do it. Pure.

accounts.py  annotations of a ServiceAccount -> the identity that it stands for
sigv4.py     AWS's signatures
aws.py       AWS's hosts, AssumeRoleWithWebIdentity
gcp.py       Google's token exchange and impersonation
azure.py     Azure's clouds and token requests
answers.py   what a cloud answered, as a value or an error
"""
