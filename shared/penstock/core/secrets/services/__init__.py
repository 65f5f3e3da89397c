"""What is asked of key services, and what they answered. Pure: requests and answers are values.

Who writes a SOPS file writes which service is asked. So nothing of the file goes into a request's host or path before
it has the exact shape that the service gives it, and only the cloud's own hosts, and Vaults that the operator named,
are asked at all.

aws.py    AWS KMS, and the role that a file wants assumed
gcp.py    Google Cloud KMS, and access tokens for a service account's key
azure.py  Azure Key Vault, and access tokens for a service principal
vault.py  the transit engine of Vault and OpenBao, and logins with a ServiceAccount's token
jwt.py    signed assertions
"""
