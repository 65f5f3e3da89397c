# tflint --recursive --config "$PWD/infra/terraform/.tflint.hcl" (make infra; also of examples/terraform)

config {
  call_module_type = "local" # what examples give to modules is looked at too
}

# Part of tflint itself. The rulesets of the clouds are not published where this project builds its tools from: their types and
# arguments are checked by the providers' schemas instead (tests/infra/test_schema.py).
plugin "terraform" {
  enabled = true
  preset  = "all"
}
