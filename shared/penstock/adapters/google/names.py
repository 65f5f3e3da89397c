"""How one plane's resources on Google Cloud are called: what Terraform makes, an adapter finds by the same rule."""

from dataclasses import dataclass, field, replace

MOST_DELIVERIES = 100
"""What Pub/Sub takes as ``max_delivery_attempts``."""


def deliveries(attempts: int) -> int:
    """After how many Pub/Sub itself gives up. ``attempts``: after how many a stage does, where it fails.

    Five times as many: a push that finds no free instance is a delivery, too, and nobody has tried it.
    """
    return min(MOST_DELIVERIES, 5 * attempts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Base URLs of the APIs. One of plain ``http`` is an emulator's, and gets no token."""

    pubsub: str = "https://pubsub.googleapis.com"
    tasks: str = "https://cloudtasks.googleapis.com"
    firestore: str = "https://firestore.googleapis.com"
    storage: str = "https://storage.googleapis.com"
    secrets: str = "https://secretmanager.googleapis.com"
    certificates: str = "https://www.googleapis.com/oauth2/v3/certs"


@dataclass(frozen=True, kw_only=True, slots=True)
class PushPolicy:
    """Whose tokens a function takes for Pub/Sub's: ``accounts`` (e-mails) and ``audiences``; none: Cloud Run checks."""

    accounts: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GoogleNames:
    """``prefix``: what every name starts with. ``region``: of the Cloud Tasks queue. ``bucket``: of artifacts.

    ``home``: the region of the plane's own, "" for this one; ``regions``: all further ones; ``suffix``: what names in
    one of those end with. ``database``: Firestore's of most records, of the home region, as the bucket is.
    ``tasks_account``: e-mail of the service account that Cloud Tasks publishes as; "" where this process puts off
    nothing.
    """

    project: str
    region: str
    bucket: str
    prefix: str = "penstock"
    database: str = ""
    tasks_account: str = ""
    push: PushPolicy = PushPolicy()
    endpoints: Endpoints = field(default_factory=Endpoints)
    home: str = ""
    regions: tuple[str, ...] = ()
    suffix: str = ""

    @property
    def everywhere(self) -> tuple[str, ...]:
        """All regions of the plane, its home region first."""
        return (self.home or self.region, *self.regions)

    def at(self, region: str) -> "GoogleNames":
        """The same plane's resources in another of its regions: names are the project's, so they end with it."""
        if region == self.everywhere[0]:
            return replace(self, region=region, home=region, regions=())
        suffix, database = f"-{region}", self.database or f"{self.prefix}-state"
        return replace(
            self,
            region=region,
            home=region,
            regions=(),
            suffix=suffix,
            bucket=self.bucket + suffix,
            database=database + suffix,
        )

    def topic(self, topic: str) -> str:
        """Resource name of Pub/Sub topic ``<prefix>-<topic>``."""
        return f"projects/{self.project}/topics/{self.prefix}-{topic}{self.suffix}"

    def subscription(self, stage: str, topic: str) -> str:
        """Resource name of the subscription with which a stage hears a topic."""
        return f"projects/{self.project}/subscriptions/{self.prefix}-{stage}-{topic}{self.suffix}"

    def dead_topic(self, stage: str) -> str:
        """Resource name of the topic of what a stage's subscriptions gave up."""
        return f"projects/{self.project}/topics/{self.prefix}-{stage}-dead{self.suffix}"

    def dead_subscription(self, stage: str) -> str:
        """Resource name of the subscription that keeps a stage's dead letters for operators."""
        return f"projects/{self.project}/subscriptions/{self.prefix}-{stage}-dead{self.suffix}"

    def lost_subscription(self, teller: str, stage: str) -> str:
        """Resource name of the subscription that pushes those dead letters to ``teller`` of which nobody has told."""
        return self.subscription(teller, f"{stage}-dead")

    @property
    def tasks_queue(self) -> str:
        """Resource name of the Cloud Tasks queue of delayed messages."""
        return f"projects/{self.project}/locations/{self.region}/queues/{self.prefix}-delay"

    @property
    def documents(self) -> str:
        """Resource name of the root of the records that webhook has nothing to do with."""
        return self._root(self.database or f"{self.prefix}-state")

    @property
    def hooks(self) -> str:
        """Resource name of the root of what came of deliveries, which webhook writes."""
        return self._root(f"{self.prefix}-hooks{self.suffix}")

    @property
    def index(self) -> str:
        """Resource name of the root of what webhook reads: Receivers, documents, the Plane."""
        return self._root(f"{self.prefix}-index{self.suffix}")

    def _root(self, database: str) -> str:
        return f"projects/{self.project}/databases/{database}/documents"

    @property
    def secret_prefix(self) -> str:
        """What ids in Secret Manager start with: the region too in a further one, so that IAM can tell them apart.

        No prefix has an underscore: home's is never the start of a region's, nor of another plane's.
        """
        return f"{self.prefix}_{self.region}-" if self.suffix else f"{self.prefix}-"
