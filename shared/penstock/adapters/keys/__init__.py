"""The keys port: ``services.py`` asks AWS, Google, Azure and Vault; ``memory.py`` keeps keys of its own.

services.py   KeyServices: each kind of key to its service, errors with who asked
tokens.py     access tokens: a Secret's credentials, a ServiceAccount or the plane itself to what a service takes
    vault_settings.py   what the environment says of Vaults
"""
