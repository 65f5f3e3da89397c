"""The world behind the ports: one package per port, one module per adapter."""
