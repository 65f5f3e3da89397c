"""HTTP(S) as all adapters speak it: checked addresses, one deadline for a whole exchange, bounds on what comes back."""
