"""Push tokens: only Google's, for us, from our service account, now; keys are kept as long as they say."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.test import EnvironBuilder

from penstock.adapters.google.names import PushPolicy
from penstock.adapters.google.push import PushVerifier
from penstock.adapters.state.memory import MemoryState
from penstock.core.errors import Refused, Transient
from penstock.core.http import HttpResponse
from penstock.wiring import Runtime, Settings, functions
from penstock.wiring.lazy import Once

NOW = 1_800_000_000.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACCOUNT, AUDIENCE = "push@p.iam.gserviceaccount.com", "https://fetch.example"
POLICY = PushPolicy(accounts=(ACCOUNT,), audiences=(AUDIENCE,))
CLAIMS = {
    "iss": "https://accounts.google.com",
    "aud": AUDIENCE,
    "email": ACCOUNT,
    "email_verified": True,
    "iat": NOW - 10,
    "exp": NOW + 3590,
}


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims=CLAIMS, *, key=KEY, kid="k1", alg="RS256"):
    signed = f"{part({'alg': alg, 'kid': kid, 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def jwk(key, kid):
    numbers = key.public_key().public_numbers()
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "n": part(numbers.n.to_bytes(256)), "e": part(b"\1\0\1")}


class Google:
    """Its keys by URL; how often they were fetched."""

    def __init__(self, status=200):
        self.now, self.fetched, self.keys, self.status = NOW, 0, {"k1": KEY}, status

    def __call__(self, request):
        self.fetched += 1
        keys = [jwk(key, kid) for kid, key in self.keys.items()]
        headers = {"cache-control": "public, max-age=600, must-revalidate"}
        return HttpResponse(status=self.status, headers=headers, body=json.dumps({"keys": keys}).encode())

    def verifier(self, policy=POLICY):
        return PushVerifier(policy, self, "https://keys.example", lambda: self.now)


def push(text):
    return {"authorization": f"Bearer {text}"}


def test_googles_push_is_taken_and_its_keys_are_fetched_once():
    google = Google()
    verifier = google.verifier()
    for _ in range(3):
        verifier.check(push(token()))
    assert google.fetched == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic x"},
        push(""),
        push("x" * 9_000),
        push("a.b"),
        push("....."),
        push("é.é.é"),
        push(token(alg="none")),
        push(token(alg="HS256")),
        push(token(kid="unknown")),
        push(token(key=OTHER)),
        push(token().rpartition(".")[0] + "."),
        push(part({"alg": "RS256", "kid": "k1"}) + "." + part({**CLAIMS, "x": 1}) + "." + token().rpartition(".")[2]),
        *(
            push(token({**CLAIMS, name: value}))
            for name, value in (
                ("iss", "https://evil.example"),
                ("aud", "https://notify.example"),
                ("aud", [AUDIENCE]),
                ("email", "else@p.iam.gserviceaccount.com"),
                ("email_verified", False),
                ("email_verified", "true"),
                ("exp", NOW - 301),
                ("exp", "9999999999"),
                ("iat", NOW + 301),
            )
        ),
        *(push(token({k: v for k, v in CLAIMS.items() if k != name})) for name in CLAIMS),
        push(token([])),
    ],
)
def test_anything_else_is_refused(headers):
    with pytest.raises(Refused):
        Google().verifier().check(headers)


def test_without_a_policy_nothing_is_taken():
    with pytest.raises(Refused, match="every push is refused"):
        Google().verifier(PushPolicy()).check(push(token({**CLAIMS, "aud": "", "email": ""})))


@pytest.mark.parametrize(("claim", "field"), [("email", "accounts"), ("aud", "audiences")])
def test_an_account_or_an_audience_is_replaced_and_no_push_is_refused(monkeypatch, tmp_path, claim, field):
    """As docs/operations.md says it: the functions take both, the subscriptions change, the functions take the new one.

    While functions and subscriptions are changed one by one, old and new ones meet in any pair.
    """
    old, new = CLAIMS[claim], f"new-{CLAIMS[claim]}"

    def status(taken, sent):
        runtime = Runtime(Settings(data_dir=tmp_path), instead={"state": MemoryState})
        policy = replace(POLICY, **{field: taken})
        monkeypatch.setattr(runtime, "check_push", Google().verifier(policy).check)
        monkeypatch.setattr(functions, "runtime", Once(lambda: runtime))
        request = EnvironBuilder(method="POST", headers=push(token({**CLAIMS, claim: sent}))).get_request()
        return functions.schedule_function("tick", request).status_code

    steps = [
        ([(old,), (old, new)], [old]),  # the functions
        ([(old, new)], [old, new]),  # the subscriptions
        ([(old, new), (new,)], [new]),  # the functions
    ]
    assert [status(taken, sent) for functions_take, sends in steps for taken in functions_take for sent in sends] == [
        204
    ] * 6
    assert status((new,), old) == 401


def test_a_new_key_is_found_but_strangers_cannot_make_us_ask_all_the_time():
    google = Google()
    verifier = google.verifier()
    verifier.check(push(token()))
    google.keys = {"k1": KEY, "k2": OTHER}
    for _ in range(5):
        with pytest.raises(Refused):
            verifier.check(push(token(key=OTHER, kid="k2")))
    assert google.fetched == 1
    google.now += 61
    verifier.check(push(token(key=OTHER, kid="k2")))
    assert google.fetched == 2


def test_a_key_that_google_withdrew_ends_with_the_keys_time():
    google = Google()
    verifier = google.verifier()
    verifier.check(push(token()))
    google.keys = {"k2": OTHER}
    google.now += 601
    with pytest.raises(Refused):
        verifier.check(push(token()))


@pytest.mark.parametrize(("headers", "status"), [(push(token()), 204), (push(token(key=OTHER)), 401), ({}, 401)])
def test_the_schedulers_call_of_tick_is_verified_as_pushes_are(monkeypatch, tmp_path, headers, status):
    runtime = Runtime(Settings(data_dir=tmp_path), instead={"state": MemoryState})
    monkeypatch.setattr(runtime, "check_push", Google().verifier().check)
    monkeypatch.setattr(functions, "runtime", Once(lambda: runtime))
    request = EnvironBuilder(method="POST", headers=headers).get_request()
    assert functions.schedule_function("tick", request).status_code == status


def test_without_keys_the_push_must_come_again():
    with pytest.raises(Transient):
        Google(status=503).verifier().check(push(token()))
