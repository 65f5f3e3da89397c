"""Who may do what with which of a plane's secrets, on every cloud: the stages that read one, and that change one."""

from penstock.core.secrets.names import API_TOKEN, FETCH, NOTIFY, OWN, WEBHOOK, secret_name

COPIES = {reader: secret_name(reader, "prod", "flux-system", "x") for reader in (FETCH, NOTIFY, WEBHOOK)}
FORMER = secret_name(OWN, "prod", "flux-system", "x")
"""A copy that was made before names had a reader."""
KUBECONFIG = secret_name(OWN, "-", "flux-system", "kube")

READ = {
    **{name: {reader, "reconcile"} for reader, name in COPIES.items()},
    secret_name(FETCH, "-", "flux-system", "fleet-token"): {"fetch"},
    API_TOKEN: {"api", "reconcile"},
    f"{API_TOKEN}--2": {"reconcile"},
    KUBECONFIG: {"reconcile"},
    secret_name(OWN, "-", "penstock-system", "metrics-token"): {"reconcile"},
    secret_name(OWN, "-", "penstock-system", "otlp-headers"): {"reconcile"},
    FORMER: {"reconcile"},
    "x": set[str](),
}
"""By name: the stages that read its value, all at home."""
CHANGED = {name: name in COPIES.values() for name in READ}
"""By name: whether reconcile makes it and gives it new values. Nobody else changes any."""
REMOVED = {name: name in COPIES.values() or name == FORMER for name in READ}
"""By name: whether reconcile removes it, where it is a copy of the plane's."""
