"""How one plane's resources on AWS are called: what a Terraform module makes, an adapter finds by the same rule."""

from dataclasses import dataclass, replace

SECRETS_MANAGER = "secrets-manager"
PARAMETER_STORE = "parameter-store"
_FIFO = {False: "", True: ".fifo"}
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsNames:
    """``prefix``: what every name starts with; two planes of one account and region have different ones.

    ``account``: 12 digits. ``bucket``: of artifacts. ``scheduler_role``: ARN of the role with which EventBridge
    Scheduler publishes; "" where this process schedules nothing. ``secrets_store``: where secrets are kept. ``home``:
    the region of the plane's own, "" for this one; ``regions``: all further ones; ``bucket`` is the home region's.
    """

    region: str
    account: str
    bucket: str
    prefix: str = "penstock"
    scheduler_role: str = ""
    secrets_store: str = SECRETS_MANAGER
    home: str = ""
    regions: tuple[str, ...] = ()

    @property
    def everywhere(self) -> tuple[str, ...]:
        """All regions of the plane, its home region first."""
        return (self.home or self.region, *self.regions)

    def at(self, region: str) -> "AwsNames":
        """The same plane's resources in another of its regions: names are equal there, but for the bucket's."""
        home = self.everywhere[0]
        bucket = self.bucket if region == home else f"{self.bucket}-{region}"
        return replace(self, region=region, home=region, regions=(), bucket=bucket)

    def topic_arn(self, topic: str, *, ordered: bool = False) -> str:
        """SNS topic ``<prefix>-<topic>``, a FIFO topic where order is kept."""
        partition = next((name for start, name in _PARTITIONS if self.region.startswith(start)), "aws")
        return f"arn:{partition}:sns:{self.region}:{self.account}:{self.prefix}-{topic}{_FIFO[ordered]}"

    def queue(self, stage: str, *, ordered: bool = False) -> str:
        """Name of the SQS queue that feeds a stage, a FIFO queue where order is kept."""
        return f"{self.prefix}-{stage}{_FIFO[ordered]}"

    def dead_queue(self, stage: str, *, ordered: bool = False) -> str:
        """Name of the SQS queue of what a stage's queue gave up, of the same kind."""
        return f"{self.prefix}-{stage}-dead{_FIFO[ordered]}"

    @property
    def table(self) -> str:
        """DynamoDB table of the records."""
        return f"{self.prefix}-state"

    @property
    def schedule_group(self) -> str:
        """EventBridge Scheduler group of messages delayed for more than 15 minutes."""
        return self.prefix

    @property
    def secret_path(self) -> str:
        """What names of secrets start with: in Parameter Store they are paths."""
        return f"/{self.prefix}/" if self.secrets_store == PARAMETER_STORE else f"{self.prefix}/"
