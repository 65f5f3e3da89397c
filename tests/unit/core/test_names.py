import re
from itertools import product

import pytest

from penstock.core.errors import Terminal
from penstock.core.secrets.names import (
    API_TOKEN,
    FETCH,
    NOTIFY,
    OWN,
    READERS,
    WEBHOOK,
    for_reader,
    parse_secret_name,
    secret_name,
)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ((OWN, "-", "flux-system", "kube"), "penstock_--_flux--system_kube"),
        ((WEBHOOK, "prod-eu", "flux-system", "webhook-token"), "webhook_prod--eu_flux--system_webhook--token"),
        ((FETCH, "-", "flux-system", "git.auth"), "fetch_--_flux--system_git-dauth"),
        ((NOTIFY, "a", "b", "x-d.y"), "notify_a_b_x--d-dy"),
    ],
)
def test_names_are_reversible(parts, name):
    assert secret_name(*parts) == name
    assert parse_secret_name(name) == parts


def test_different_secrets_have_different_legal_names():
    odd = ["a", "a.b", "a-b", "a-db", "a--b", "a.-b", "a-.b", "ad", "a--db", "a-d-b", "-"]
    names = {secret_name(*parts): parts for parts in product(READERS, odd, odd, odd)}
    assert len(names) == len(READERS) * len(odd) ** 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name) for name in names)
    assert all(parse_secret_name(name) == parts for name, parts in names.items())


def test_what_one_reader_may_read_is_the_start_of_no_other_readers_name():
    """Rights of clouds are by the beginning of a name."""
    starts = [f"{reader}_" for reader in READERS]
    assert not [(a, b) for a, b in product(starts, starts) if a != b and a.startswith(b)]


@pytest.mark.parametrize("reader", READERS)
def test_the_same_secret_for_another_reader(reader):
    assert for_reader(reader, secret_name(OWN, "c", "n", "a-b")) == secret_name(reader, "c", "n", "a-b")


def test_the_apis_token_is_the_planes_own():
    assert parse_secret_name(API_TOKEN) == (OWN, "-", "penstock-system", "api-token")


@pytest.mark.parametrize("name", ["", "penstock", "penstock_a_b", "other_a_b_c", "api_a_b_c", "penstock_a_b_c_d"])
def test_other_names_are_not_ours(name):
    with pytest.raises(Terminal, match="is not a name that penstock gives"):
        parse_secret_name(name)
