"""IAM's answer to one call, as far as this project's policies go: three condition operators, and Deny goes first."""

import fnmatch


def allowed(policy, action, resource, context=None):
    """Whether a role with this policy may. ``context``: condition keys of the call, each a list of values."""
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if action in statement["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        and _holds(statement.get("Condition", {}), context or {})
    }
    return effects == {"Allow"}


def _holds(condition, context):
    return all(
        _matches(operator, context.get(key, []), expected)
        for operator, keys in condition.items()
        for key, expected in keys.items()
    )


def _matches(operator, values, expected):
    if operator == "Null":
        return (not values) == (expected == "true")
    if operator == "StringEquals":
        return values == [expected]
    if operator == "ForAllValues:StringLike":
        return all(any(fnmatch.fnmatchcase(value, pattern) for pattern in expected) for value in values)
    raise AssertionError(f"no condition operator {operator} here")
