"""What the stages need of the world, as Protocols. One contract suite each, run on every adapter."""
