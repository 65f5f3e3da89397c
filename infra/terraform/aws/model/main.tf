module "topology" {
  source = "../../topology"

  pipeline_file = var.pipeline_file
  sizes         = var.sizes
}
