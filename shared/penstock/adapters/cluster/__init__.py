"""The cluster port: ``kube.py`` speaks to an API server, ``memory.py`` is one in memory.

    clusters.py     KubeClusters: connections by name (what wiring builds)
    servers.py      servers that are kept connected
    by_identity.py  clusters of the clouds, by an identity -> Connection
    kubeconfig.py   kubeconfigs, trusted and not -> Connection
    credentials.py  tokens, files, exec plugins -> Login
    proxies.py      HTTPS_PROXY and NO_PROXY
    pools.py        kept-alive connections and TLS
    transport.py    requests over them: retries, deadlines, counting, streams
    counting.py     how many requests a run sends
    discovery.py    which kinds are served
    answers.py      the API server's refusals -> the port's errors (the only place)
    names.py        what may stand in an API path
    kube.py         the port's methods as requests

urllib3 and the kubernetes package are imported where a connection is made, not before.
"""
