"""From a render and what is live to what must be done: plans and policies, values in, values out."""
