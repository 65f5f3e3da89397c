"""Identities in memory: tokens that say whose they are, for tests of what asks for them."""

import math
from collections import Counter

from penstock.adapters.identity.clouds import read_account
from penstock.core.identity import accounts, azure
from penstock.core.identity.sigv4 import AwsKeys
from penstock.ports.identity import Account, AwsCredentials, Bearer


class MemoryIdentities:
    """See the port. ``asked`` counts what was made anew, by cloud and account."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()

    def aws(self, who: Account | None, region: str, *, fresh: bool = False) -> AwsCredentials:
        """See Identities."""
        named = "own" if who is None else accounts.aws_role(read_account(who), region).arn
        secret = self._token("aws", named, fresh=fresh)
        return AwsCredentials(keys=AwsKeys(access_key_id="AKIDMEMORY", secret_access_key=secret), expires=math.inf)

    def gcp(self, who: Account | None, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        named = "own" if who is None else str(accounts.gcp_federation(read_account(who), who.gke))
        return Bearer(token=self._token("gcp", named, fresh=fresh), expires=math.inf)

    def azure(self, who: Account | None, scope: str, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        named = "own" if who is None else accounts.azure_application(read_account(who), azure.PUBLIC).client
        return Bearer(token=self._token(f"azure {scope}", named, fresh=fresh), expires=math.inf)

    def kubernetes(self, who: Account, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        named = f"{read_account(who)['metadata']['uid']} for {','.join(who.audiences)}"
        return Bearer(token=self._token("kubernetes", named, fresh=fresh), expires=math.inf)

    def _token(self, cloud: str, named: str, *, fresh: bool) -> str:
        self.asked[cloud, named] += 1 if fresh or not self.asked[cloud, named] else 0
        return f"{cloud} {named} #{self.asked[cloud, named]}"
