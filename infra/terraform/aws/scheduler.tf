# What is put off by more than fifteen minutes: one-time schedules of this group, which publish with this role.

resource "aws_scheduler_schedule_group" "later" {
  name = local.model.names.schedule_group
  tags = local.tags
}

resource "aws_iam_role" "scheduler" {
  name                 = local.model.names.scheduler_role
  assume_role_policy   = jsonencode(local.model.trust.scheduler)
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "publish"
  role   = aws_iam_role.scheduler.name
  policy = jsonencode(local.model.scheduler_policy)
}
