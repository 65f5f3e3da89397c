"""CEL, the Common Expression Language, as Flux's fields use it: readyExpr, healthCheckExprs, resource filters."""
