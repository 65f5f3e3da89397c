# The APIs that a plane needs. They stay on when the plane goes: others may use them.

resource "google_project_service" "services" {
  for_each = toset([
    "artifactregistry", "billingbudgets", "cloudbuild", "cloudfunctions", "cloudkms", "cloudresourcemanager",
    "cloudscheduler", "cloudtasks", "firestore", "iam", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage",
  ])

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
