"""The senders that are served: Receiver type -> the function that verifies and reads its deliveries.

Another type (gitlab, bitbucket, gitea, generic, a registry) is one more module here and its name in
core.flux.receiver.SERVED_TYPES.
"""

from collections.abc import Mapping

from penstock.core.webhooks import github
from penstock.core.webhooks.delivery import RequestReader

SENDERS: Mapping[str, RequestReader] = {"github": github.read}
