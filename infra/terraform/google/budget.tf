# Counts what carries this module's label.

resource "google_billing_budget" "plane" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = var.prefix

  budget_filter {
    projects = ["projects/${data.google_project.here.number}"]
    labels   = { penstock = var.prefix }
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = { CURRENT_SPEND = 0.8, FORECASTED_SPEND = 1.0 }

    content {
      spend_basis       = threshold_rules.key
      threshold_percent = threshold_rules.value
    }
  }

  # Without channels, those who manage the billing account are told.
  dynamic "all_updates_rule" {
    for_each = length(var.alarm_channels) > 0 ? [slice(var.alarm_channels, 0, min(5, length(var.alarm_channels)))] : []

    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }
}
