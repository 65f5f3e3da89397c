"""Messages that no stage of ours can take: whoever meets one keeps it as a dead letter, and goes on with the others."""

import json


def _due(**data):
    named = {"cluster": "prod", "namespace": "flux-system", "name": "apps", **data}
    return json.dumps({"type": "dev.penstock.reconcile-due.v1", "id": "1", "data": named}).encode()


TEXTS = {
    "nothing": b" ",
    "no JSON": b"not ours",
    "no object": b'["dev.penstock.source-changed.v1"]',
    "a number without end": b"1" * 5_000,
    "of another release": b'{"type": "dev.penstock.source-changed.v9", "id": "1", "data": {}}',
    "a type without end": json.dumps({"type": "dev.penstock." + "x" * 190_000, "id": "1"}).encode(),
    "of an unknown topic": b'{"type": "dev.penstock.image-pushed.v1", "id": "1", "data": {}}',
    "without its fields": b'{"type": "dev.penstock.source-changed.v1", "id": "1", "data": {}}',
    "a number for a name": _due(name=5),
    "an object for a name": _due(name={"a": ["b"]}),
    "nothing for a name": _due(name=None),
    "half a character": _due(name="\ud800"),
    "half a character in a trace": b'{"traceparent": "\\ud800", ' + _due()[1:],
    "text for a list": _due(others="flux-system/one"),
    "numbers in a list": _due(others=[1]),
    "nested deeply": b"[" * 100_000,
    "nested deeply in its data": _due().replace(b'"apps"', b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
    "as large as a bus takes": b"\xc3\xbc" * 100_000,
}
"""What -> body. All of them are UTF-8, which is all that SQS carries."""

POISON = {**TEXTS, "no UTF-8": b"\xff\xfe\xfa", "zeros": b"\x00" * 100}
