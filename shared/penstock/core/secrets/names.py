"""One reversible name for a Secret of a cluster, legal in every backend that stores it.

``<reader>_<cluster>_<namespace>_<name>``, where each part is a Kubernetes name whose ``.`` is written ``-d`` and
whose ``-`` is written ``--``: so only letters, digits, ``-`` and ``_`` occur (Secret Manager's rule, the strictest).

The reader comes first, so that a cloud's rights, which know no more of a name than its beginning, give each stage its
own: ``webhook``, ``fetch`` and ``notify`` each read what stands under their names; ``penstock`` is the plane's own
(kubeconfigs that `reconcile` reads, the api's token, who may scrape, the collector's headers).
"""

from penstock.core.errors import Terminal

OWN, WEBHOOK, FETCH, NOTIFY = "penstock", "webhook", "fetch", "notify"
READERS = (FETCH, NOTIFY, OWN, WEBHOOK)
API_TOKEN = "penstock_--_penstock--system_api--token"  # noqa: S105 - the name of a secret
"""Of the plane itself: its entry ``token`` is what the api asks for."""


def secret_name(reader: str, cluster: str, namespace: str, name: str) -> str:
    """The store's name for Secret ``namespace/name`` as cluster ``cluster`` has it, for a stage that reads it."""
    return "_".join((reader, *(_escape(part) for part in (cluster, namespace, name))))


def for_reader(reader: str, stored: str) -> str:
    """The store's name of the same Secret for another reader; ``stored``: one that secret_name has made."""
    return f"{reader}_{stored.partition('_')[2]}"


def pull_secrets_name(service_account: str) -> str:
    """The name of a ServiceAccount's imagePullSecrets, put together, beside the Secrets of its namespace."""
    return f"imagepullsecrets.{service_account}"


def account_token_name(provider: str, service_account: str) -> str:
    """The name of a ServiceAccount's token for a cloud's exchange, beside the Secrets of its namespace."""
    return f"token.{provider}.{service_account}"


def parse_secret_name(text: str) -> tuple[str, str, str, str]:
    """(reader, cluster, namespace, name). Raises Terminal for a name that is not ours."""
    parts = text.split("_")
    if len(parts) != 4 or parts[0] not in READERS:
        raise Terminal(f"{text!r} is not a name that penstock gives to a secret")
    cluster, namespace, name = (_unescape(part) for part in parts[1:])
    return parts[0], cluster, namespace, name


def _escape(part: str) -> str:
    return part.replace("-", "--").replace(".", "-d")


def _unescape(part: str) -> str:
    return part.replace("--", "\0").replace("-d", ".").replace("\0", "-")
