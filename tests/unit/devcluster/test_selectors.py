import pytest

from penstock.devcluster.selectors import field_test, label_test
from penstock.devcluster.statuses import ApiError

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("! other", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app = web , tier != back", True),
        ("other!=x", True),
        ("app in (web, api)", True),
        ("app in (api)", False),
        ("app notin (api)", True),
        ("other notin (api)", True),
        ("other in (api)", False),
        ("n>4", True),
        ("n<4", False),
        ("app>4", False),
        ("empty=", True),
        ("empty=,app", True),
        ("empty in (,x)", True),
        ("example.com/a-b_c.d", False),
    ],
)
def test_labels(selector, expected):
    assert label_test(selector)(LABELS) is expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("==c", "found '==', expected: !, identifier, or 'end of string'"),
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("app,", "found '', expected: identifier after ','"),
        ("app web", "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, >, <"),
        ("app in (a", "unable to parse requirement: found '', expected: ',', or ')'"),
        ("!=x", "found '!=', expected: !, identifier, or 'end of string'"),
        ("!,", "unable to parse requirement: found ',', expected: identifier"),
        ("a=b)", "found ')', expected: ',' or 'end of string'"),
    ],
)
def test_labels_that_cannot_be_parsed(selector, message):
    with pytest.raises(ApiError) as problem:
        label_test(selector)
    assert (problem.value.code, problem.value.message) == (400, message)


@pytest.mark.parametrize(
    ("selector", "resource", "expected"),
    [
        ("metadata.name=a", "configmaps", True),
        ("metadata.name==a,metadata.namespace=n", "configmaps", True),
        ("metadata.name!=a", "configmaps", False),
        ("status.phase=Running", "pods", True),
        ("spec.nodeName=", "pods", True),
    ],
)
def test_fields(selector, resource, expected):
    obj = {"metadata": {"name": "a", "namespace": "n"}, "status": {"phase": "Running"}}
    assert field_test(selector, resource)(obj) is expected


@pytest.mark.parametrize(
    ("selector", "resource", "message"),
    [
        ("foo=a", "configmaps", '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ("foo=a", "pods", "field label not supported: foo"),
        ("foo", "pods", "invalid field selector: 'foo'"),
    ],
)
def test_fields_that_are_not_offered(selector, resource, message):
    with pytest.raises(ApiError) as problem:
        field_test(selector, resource)
    assert problem.value.message == message
