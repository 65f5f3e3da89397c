# Records (adapters/state/dynamodb.py): hash key p, range key k, and an index of what is due.

resource "aws_dynamodb_table" "state" {
  # checkov:skip=CKV_AWS_119:encrypted with a key that AWS keeps; records are pointers and outcomes
  name                        = local.model.names.table
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  hash_key                    = "p"
  range_key                   = "k"
  tags                        = local.tags

  dynamic "attribute" {
    for_each = { p = "S", k = "S", s = "S", due = "N" }

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  global_secondary_index {
    name            = "due"
    projection_type = "KEYS_ONLY"

    key_schema {
      attribute_name = "s"
      key_type       = "HASH"
    }

    key_schema {
      attribute_name = "due"
      key_type       = "RANGE"
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  # Goes before them: where destroy stops here, no secret waits for its deletion, which would hold its name.
  depends_on = [aws_secretsmanager_secret.by_hand]
}
