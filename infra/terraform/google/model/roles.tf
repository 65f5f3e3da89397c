# Roles of this plane: one for each thing that somebody does, with the permissions that its calls need and no others.
# Google's own roles are taken where they hold nothing else, or where a role of this project has no force (keys and
# clusters in other projects). Sources: docs/google.md, Rights.

locals {
  permissions = {
    artifact_collector = ["storage.objects.delete"]
    artifact_lister    = ["storage.objects.list"]
    artifact_reader    = ["storage.objects.get"]
    artifact_writer    = ["storage.objects.create"]
    impersonator       = ["iam.serviceAccounts.actAs"]
    record_getter      = ["datastore.entities.get"]
    record_reader      = ["datastore.entities.get", "datastore.entities.list"]
    record_remover     = ["datastore.entities.delete"]
    record_writer      = ["datastore.entities.create", "datastore.entities.update"]
    secret_keeper      = ["secretmanager.secrets.delete", "secretmanager.secrets.get", "secretmanager.versions.add", "secretmanager.versions.destroy"]
    secret_maker       = ["secretmanager.secrets.create"]
    secret_reader      = ["secretmanager.versions.access"]
    secret_remover     = ["secretmanager.secrets.delete", "secretmanager.secrets.get"]
    task_maker         = ["cloudtasks.tasks.create"]
  }

  # Role ids take no hyphens; a prefix has no underscores, so that two planes never share one.
  roles = {
    for role, permissions in local.permissions : role => {
      id          = "${replace(var.prefix, "-", "_")}_${role}"
      permissions = permissions
      title       = "${var.prefix}: ${replace(role, "_", " ")}"
    }
  }

  role = { for role, made in local.roles : role => "${local.project}/roles/${made.id}" }

  # What Google's roles hold, as far as this module grants them.
  predefined = {
    "roles/artifactregistry.writer"              = ["artifactregistry.repositories.uploadArtifacts", "artifactregistry.repositories.downloadArtifacts"]
    "roles/cloudkms.cryptoKeyDecrypter"          = ["cloudkms.cryptoKeyVersions.useToDecrypt"]
    "roles/container.clusterViewer"              = ["container.clusters.get", "container.clusters.list"]
    "roles/iam.serviceAccountOpenIdTokenCreator" = ["iam.serviceAccounts.getOpenIdToken"]
    "roles/logging.logWriter"                    = ["logging.logEntries.create"]
    "roles/pubsub.publisher"                     = ["pubsub.topics.publish"]
    "roles/pubsub.subscriber"                    = ["pubsub.subscriptions.consume"]
    "roles/run.invoker"                          = ["run.routes.invoke"]
  }
}
