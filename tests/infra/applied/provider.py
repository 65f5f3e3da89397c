"""A provider of the tests: a published schema, served to the real terraform, over what stands behind it.

What terraform itself checks, it checks by that schema: types, required arguments, what is known when. This plans as the
published providers do where they can be told from the schema (what is computed and not given is unknown until apply), asks
the world behind it to make, read, change and delete, and answers with what came of it. Nothing is softened: it does not claim
the legacy type system, so terraform refuses whatever differs from the plan.
"""

import json

from tests.infra.applied.protocol import MESSAGE
from tests.infra.applied.schema import block
from tests.infra.applied.values import UNKNOWN, decoded, encoded

ERROR = 1
NESTINGS = {"single": 1, "list": 2, "set": 3}


class Provider:
    """``prefix``: of its types; ``types``: (kind, name) of those that are served, as far as the provider has them.

    ``world``: what resources are made of, by configuration of the provider: see World.
    """

    def __init__(self, schemas, prefix, types, world):
        self._own = block(schemas, "provider", prefix)
        found = {each: block(schemas, *each) for each in types if each[1].startswith(prefix)}
        self._blocks = {each: made for each, made in found.items() if made is not None}
        self._world, self._configured = world, {}

    def answer(self, call, request, caller):
        """The response to a call. What goes wrong is told to terraform, whatever it is."""
        response = MESSAGE[f"{call}Response"]()
        try:
            getattr(self, f"_{call}")(request, response, caller)
        except Exception as error:
            if not hasattr(response, "diagnostics"):
                raise
            summary = f"{call} of {getattr(request, 'type_name', 'the provider')}: {type(error).__name__}: {error}"
            response.diagnostics.add(severity=ERROR, summary=summary)
        return response

    def _GetSchema(self, _request, response, _caller):
        _write(response.provider.block, self._own)
        for (kind, name), found in sorted(self._blocks.items()):
            into = response.resource_schemas if kind == "resource" else response.data_source_schemas
            _write(into.add(key=name).value.block, found)

    def _PrepareProviderConfig(self, request, response, _caller):
        response.prepared_config.msgpack = request.config.msgpack

    def _ValidateResourceTypeConfig(self, request, response, _caller):
        """Types, and what is required, terraform has compared with the schema itself."""
        self._check("resource", request)

    def _ValidateDataSourceConfig(self, request, response, _caller):
        self._check("data", request)

    def _check(self, kind, request):
        found = self._blocks[kind, request.type_name]
        if given := sorted(_decided(found, decoded(request.config.msgpack))):
            raise ValueError(f"{', '.join(given)}: not for the configuration to say")

    def _Configure(self, request, _response, caller):
        self._configured[caller] = self._world.configured(decoded(request.config.msgpack))

    def _UpgradeResourceState(self, request, response, _caller):
        response.upgraded_state.msgpack = encoded(json.loads(request.raw_state.json))

    def _Stop(self, _request, _response, _caller):
        """Nothing runs between calls."""

    def _PlanResourceChange(self, request, response, caller):
        prior, proposed = decoded(request.prior_state.msgpack), decoded(request.proposed_new_state.msgpack)
        name, world = request.type_name, self._configured[caller]
        found = self._blocks["resource", name]
        planned = proposed if proposed is None else _planned(found, proposed, prior)
        if planned is not None and prior is not None:
            for attribute in sorted(world.replaced_by(name)):
                if planned[attribute] != prior[attribute]:
                    response.requires_replace.add().steps.add(attribute_name=attribute)
        response.planned_state.msgpack = encoded(planned)

    def _ApplyResourceChange(self, request, response, caller):
        prior, planned = decoded(request.prior_state.msgpack), decoded(request.planned_state.msgpack)
        response.new_state.msgpack = encoded(prior)  # where it fails, and nothing was made
        name, world = request.type_name, self._configured[caller]
        found = self._blocks["resource", name]
        if planned is None:
            world.delete(name, prior)
            response.new_state.msgpack = encoded(None)
            return
        made = world.put(name, planned, prior, _arguments(found, planned))
        response.new_state.msgpack = encoded(_filled(found, planned, made))

    def _ReadResource(self, request, response, caller):
        state = decoded(request.current_state.msgpack)
        response.new_state.msgpack = encoded(self._configured[caller].read(request.type_name, state))

    def _ReadDataSource(self, request, response, caller):
        config, found = decoded(request.config.msgpack), self._blocks["data", request.type_name]
        made = self._configured[caller].data(request.type_name, config)
        response.state.msgpack = encoded(_filled(found, _planned(found, config, None), made))


def _write(message, found):
    """A block's schema as a message: there even where it is empty."""
    message.SetInParent()
    for name, each in found.attributes.items():
        message.attributes.add(
            name=name,
            type=json.dumps(each.type).encode(),
            required=each.required,
            optional=each.optional,
            computed=each.computed,
        )
    for name, each in found.blocks.items():
        inner = message.block_types.add(
            type_name=name, nesting=NESTINGS[each.nesting], min_items=each.least, max_items=each.most
        )
        _write(inner.block, each.block)


def _decided(found, config):
    """Names of what is given a value, and is the provider's alone to say."""
    for name, each in found.attributes.items():
        if config[name] is not None and not (each.required or each.optional):
            yield name
    for name, nested in found.blocks.items():
        if isinstance(config[name], list):
            for each in config[name]:
                yield from (f"{name}.{inner}" for inner in _decided(nested.block, each))


def _planned(found, proposed, prior):
    """What is proposed, with all that is computed for the first time unknown. ``prior``: None for what is new."""
    planned = dict(proposed)
    for name, each in found.attributes.items():
        if each.computed and planned[name] is None and prior is None:
            planned[name] = UNKNOWN
    for name, nested in found.blocks.items():
        if nested.nesting == "single":
            if planned[name] is not None:
                planned[name] = _planned(nested.block, planned[name], prior and prior[name])
        elif planned[name] is not UNKNOWN:
            before = (prior and prior[name]) or []
            planned[name] = [
                _planned(nested.block, each, _before(nested, before, number, each))
                for number, each in enumerate(planned[name] or ())
            ]
    return planned


def _before(nested, before, number, proposed):
    """The element of the prior state that this one was: in a list by its place, in a set by its value."""
    if nested.nesting == "set":
        return proposed if proposed in before else None
    return before[number] if number < len(before) else None


def _arguments(found, planned):
    """Names of what is given, in the configuration or by what is known."""
    given = {
        name
        for name, each in found.attributes.items()
        if (each.required or each.optional) and planned[name] is not None and planned[name] is not UNKNOWN
    }
    return given | {name for name in found.blocks if planned[name]}


def _filled(found, planned, made):
    """The state: ``made`` where the plan did not know. An unknown that nobody has made is null."""
    state = dict(planned)
    for name, each in found.attributes.items():
        if state[name] is UNKNOWN:
            assert each.computed, name
            state[name] = made.get(name)
    for name, nested in found.blocks.items():
        inner = made.get(name) or []
        if nested.nesting == "single":
            if state[name] is not None:
                state[name] = _filled(nested.block, state[name], inner or {})
        else:
            state[name] = [
                _filled(nested.block, each, inner[number] if number < len(inner) else {})
                for number, each in enumerate(state[name] or ())
            ]
    return state
