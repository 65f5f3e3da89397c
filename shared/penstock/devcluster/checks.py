"""Whether a body can be what its URL says: type, name, namespace, fields. Errors are the API server's."""

from collections.abc import Mapping
from typing import Any

from penstock.devcluster.configs import typed_problems
from penstock.devcluster.decoding import Decoded, WrongType, decode
from penstock.devcluster.registry import Registry, Resource
from penstock.devcluster.statuses import ApiError, Cause, Subject, bad_request, invalid

Object = dict[str, Any]


class BodyError(ApiError):
    """400: a body that does not decode. ``problem``: without the sentence about its kind."""

    def __init__(self, resource: Resource, problem: str, kind: str = "") -> None:
        handled = f'{kind or resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        super().__init__(400, "BadRequest", f"{handled}: {problem}")
        self.problem = problem


def bad_patch(error: BodyError) -> ApiError:
    """422 of a patch whose result does not decode. The result is not repeated: it may be a Secret."""
    message = f'Invalid value: "(the patched object)": {error.problem}'
    return invalid(
        Subject(group="", resource="", kind=""), [Cause(reason="FieldValueInvalid", message=message, field="patch")]
    )


def check_type(resource: Resource, obj: Any, kinds: Registry) -> None:
    """Raise ApiError (400) unless the body is an object of the resource's kind and version."""
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    api_version, kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    if not api_version and not kind and resource.builtin:
        return
    if not resource.builtin:
        _check_custom_type(resource, obj, api_version, kind)
    elif kind != resource.kind:
        other = kinds.of_kind(api_version.rpartition("/")[0], kind)
        wrong = decode(obj, other.schema, builtin=True).wrong if other is not None and other.builtin else []
        if wrong:
            raise BodyError(resource, wrong[0].go_message, kind)
        problem = f"converting ({_go(api_version, kind)}) to ({_internal(resource)}): unknown conversion"
        version = api_version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {problem}')
    elif api_version != resource.api_version:
        message = (
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
        raise bad_request(message)


def _check_custom_type(resource: Resource, obj: Object, api_version: str, kind: str) -> None:
    wanted = (("kind", kind, resource.kind), ("apiVersion", api_version, resource.api_version))
    causes = [
        Cause(reason="FieldValueInvalid", message=f'Invalid value: "{got}": must be {must}', field=name)
        for name, got, must in wanted
        if got != must
    ]
    if causes:
        metadata = obj.get("metadata")
        name = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
        raise invalid(Subject(group=resource.group, resource=resource.plural, kind=kind, name=name), causes)


def check_names(obj: Mapping[str, Any], namespace: str, name: str) -> None:
    """Raise ApiError (400) where the body's name or namespace is given and is not the URL's."""
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    if name and (metadata.get("name") or name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if (metadata.get("namespace") or namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_config(resource: Resource, namespace: str, name: str, config: Any) -> None:
    """Raise ApiError (400, 500) for a configuration that cannot be applied."""
    got = config if isinstance(config, dict) else {}
    api_version, kind = str(got.get("apiVersion") or ""), str(got.get("kind") or "")
    if (api_version, kind) != (resource.api_version, resource.kind):
        raise bad_request(f"invalid object type: {gvk(api_version, kind)}")
    metadata = got.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if problems := typed_problems(got, resource.schema):
        subject = _applied("", metadata, api_version, kind)
        text = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise ApiError(500, "", f"failed to create typed patch object ({subject}): {text}")
    check_names(got, namespace, name)


def _applied(namespace: str, metadata: Mapping[str, Any], api_version: str, kind: str) -> str:
    name = metadata.get("name", "")
    return f"{metadata.get('namespace') or namespace}/{name if isinstance(name, str) else ''}; {gvk(api_version, kind)}"


def decoded_body(resource: Resource, obj: Object, validation: str) -> Decoded:
    """The decoded body of a plain write. Raises ApiError (400, 422) for wrong types and, if Strict, unknown fields."""
    decoded = decode(obj, resource.schema, builtin=resource.builtin)
    if decoded.wrong and resource.builtin:
        raise BodyError(resource, decoded.wrong[0].go_message)
    if validation == "Strict" and decoded.unknown:
        problems = ", ".join(f'unknown field "{path}"' for path in decoded.unknown)
        raise BodyError(resource, f"strict decoding error: {problems}")
    return _complete(resource, decoded, obj)


def decoded_config(resource: Resource, merged: Object, namespace: str) -> Decoded:
    """The decoded result of an apply. Raises ApiError (500, 422) for wrong types."""
    decoded = decode(merged, resource.schema, builtin=resource.builtin)
    if decoded.wrong and resource.builtin:
        subject = _applied(namespace, merged.get("metadata") or {}, resource.api_version, resource.kind)
        message = (
            f"failed to convert new object ({subject}) to proper version: unable to convert unstructured object to "
            f"{gvk(resource.api_version, resource.kind)}: {_converting(decoded.wrong[0])}"
        )
        raise ApiError(500, "", message)
    return _complete(resource, decoded, merged)


def _converting(problem: WrongType) -> str:
    return f"error decoding from json: {problem.go_message}" if problem.wanted == "byte" else problem.go_message


def _complete(resource: Resource, decoded: Decoded, obj: Object) -> Decoded:
    if decoded.wrong:
        metadata = obj.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        raise invalid(resource.subject(str(name)), [_wrong_type(problem) for problem in decoded.wrong])
    if decoded.value.get("metadata") is None:
        decoded.value["metadata"] = {}
    decoded.value["apiVersion"], decoded.value["kind"] = resource.api_version, resource.kind
    return decoded


def _wrong_type(problem: WrongType) -> Cause:
    text = f"{problem.path} in body must be of type {problem.wanted}"
    message = f'Invalid value: "{problem.got}": {text}: "{problem.got}"'
    return Cause(reason="FieldValueTypeInvalid", message=message, field=problem.path)


def _go(api_version: str, kind: str) -> str:
    return f"{api_version.rpartition('/')[2]}.{kind}"


def _internal(resource: Resource) -> str:
    return f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}"


def gvk(api_version: str, kind: str) -> str:
    """A type as Go prints it: ``apps/v1, Kind=Deployment``, ``/v1, Kind=Pod``."""
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"
