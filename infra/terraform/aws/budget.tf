# Counts what carries this module's tag; the tag must be activated once as a cost allocation tag (Billing console).

resource "aws_budgets_budget" "plane" {
  count = var.budget == null ? 0 : 1

  name         = var.prefix
  budget_type  = "COST"
  limit_amount = tostring(var.budget.dollars)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = local.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:penstock$%s", var.prefix)]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = notification.key
      subscriber_email_addresses = var.budget.emails
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
    }
  }
}
