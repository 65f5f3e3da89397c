# The path of a Receiver, as core/flux/receiver.py has it, and Flux: the SHA-256 of token, name and namespace, one after the other.

locals {
  url = "${var.webhook_url}/hook/${sha256("${var.token}${var.receiver.name}${var.receiver.namespace}")}"
}
