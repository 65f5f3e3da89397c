"""Pushes that a function verifies by itself: Google's keys are fetched, and kept as long as Google says."""

import json
import re
import threading
from collections.abc import Callable, Mapping

from penstock.adapters.google.names import PushPolicy
from penstock.adapters.identity.http import Send
from penstock.core.errors import Refused, Transient
from penstock.core.http import HttpRequest
from penstock.core.identity.google_push import Expected, Keys, bearer, key_id, verify

LEAST_SECONDS = 60.0
"""Keys are not fetched more often, whatever key a token names."""
MOST_SECONDS = 86_400.0


class PushVerifier:
    """``url``: of Google's JSON Web Key Set; ``now``: POSIX seconds."""

    def __init__(self, policy: PushPolicy, send: Send, url: str, now: Callable[[], float]) -> None:
        self._expected = Expected(audiences=policy.audiences, emails=policy.accounts)
        self._send, self._url, self._now = send, url, now
        self._keys: Keys = {}
        self._fetched, self._expires = float("-inf"), float("-inf")
        self._lock = threading.Lock()

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises Refused for a push that is not Pub/Sub's, Transient where Google's keys cannot be had.

        ``headers``: lower-case names.
        """
        token = bearer(headers)
        verify(token, self._keys_for(key_id(token)), self._expected, self._now())

    def _keys_for(self, kid: str) -> Keys:
        with self._lock:
            now = self._now()
            if now >= self._expires or (kid not in self._keys and now >= self._fetched + LEAST_SECONDS):
                self._keys, seconds = self._fetch()
                self._fetched, self._expires = now, now + seconds
            return self._keys

    def _fetch(self) -> tuple[Keys, float]:
        answer = self._send(HttpRequest(method="GET", path="", url=self._url))
        if answer.status != 200:
            raise Transient(f"Google's keys for push tokens: status {answer.status}")
        try:
            keys = {str(key["kid"]): key for key in json.loads(answer.body)["keys"]}
        except (ValueError, LookupError, TypeError):
            raise Refused("Google's keys for push tokens are no JSON Web Key Set") from None
        found = re.search(r"max-age=([0-9]{1,9})", answer.headers.get("cache-control", ""))
        return keys, min(max(float(found[1]) if found else 0.0, LEAST_SECONDS), MOST_SECONDS)
