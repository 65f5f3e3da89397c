import re
from itertools import product

import pytest

from penstock.core.errors import Terminal
from penstock.core.secrets.names import parse_secret_name, secret_name


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("production", "apps", "token"), "penstock_production_apps_token"),
        (("prod-eu", "flux-system", "webhook-token"), "penstock_prod--eu_flux--system_webhook--token"),
        (("-", "flux-system", "git.auth"), "penstock_--_flux--system_git-dauth"),
        (("a", "b", "x-d.y"), "penstock_a_b_x--d-dy"),
    ],
)
def test_names_are_reversible(parts, name):
    assert secret_name(*parts) == name
    assert parse_secret_name(name) == parts


def test_different_secrets_have_different_legal_names():
    odd = ["a", "a.b", "a-b", "a-db", "a--b", "a.-b", "a-.b", "ad", "a--db", "a-d-b"]
    names = {secret_name(*parts): parts for parts in product(odd, repeat=3)}
    assert len(names) == len(odd) ** 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name) for name in names)
    assert all(parse_secret_name(name) == parts for name, parts in names.items())


@pytest.mark.parametrize("name", ["", "penstock", "penstock_a_b", "other_a_b_c", "penstock_a_b_c_d"])
def test_other_names_are_not_ours(name):
    with pytest.raises(Terminal, match="is not a name that penstock gives"):
        parse_secret_name(name)
