"""Terraform's plugin protocol 5, as far as a provider needs it: its messages, and a server that terraform is told to ask.

The messages' numbers are those of docs/plugin-protocol in Terraform's repository. A server runs in this process;
TF_REATTACH_PROVIDERS tells terraform where, so that nothing is installed, started or ended by it (go-plugin's way to debug
providers).
"""

import contextlib
import json
import os
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
_VALUE, _PROBLEMS = "DynamicValue", "*Diagnostic"
_CHECK = ({"type_name": (1, "string"), "config": (2, _VALUE)}, {"diagnostics": (1, _PROBLEMS)})
_MESSAGES = {
    "DynamicValue": {"msgpack": (1, "bytes"), "json": (2, "bytes")},
    "Step": {"attribute_name": (1, "string")},
    "AttributePath": {"steps": (1, "*Step")},
    "Diagnostic": {
        "severity": (1, "int64"), "summary": (2, "string"), "detail": (3, "string"), "attribute": (4, "AttributePath")
    },
    "Attribute": {
        "name": (1, "string"), "type": (2, "bytes"), "required": (4, "bool"), "optional": (5, "bool"), "computed": (6, "bool")
    },
    "NestedBlock": {
        "type_name": (1, "string"), "block": (2, "Block"), "nesting": (3, "int64"), "min_items": (4, "int64"), "max_items": (5, "int64")
    },
    "Block": {"version": (1, "int64"), "attributes": (2, "*Attribute"), "block_types": (3, "*NestedBlock")},
    "Schema": {"version": (1, "int64"), "block": (2, "Block")},
    "Named": {"key": (1, "string"), "value": (2, "Schema")},
    "RawState": {"json": (1, "bytes")},
}  # fmt: skip
"""``*``: repeated. Enumerations are numbers on the wire, and a map is a list of entries."""
_CALLS = {
    "GetSchema": (
        {}, {"provider": (1, "Schema"), "resource_schemas": (2, "*Named"), "data_source_schemas": (3, "*Named"), "diagnostics": (4, _PROBLEMS)}
    ),
    "PrepareProviderConfig": ({"config": (1, _VALUE)}, {"prepared_config": (1, _VALUE), "diagnostics": (2, _PROBLEMS)}),
    "ValidateResourceTypeConfig": _CHECK,
    "ValidateDataSourceConfig": _CHECK,
    "UpgradeResourceState": (
        {"type_name": (1, "string"), "version": (2, "int64"), "raw_state": (3, "RawState")},
        {"upgraded_state": (1, _VALUE), "diagnostics": (2, _PROBLEMS)},
    ),
    "Configure": ({"terraform_version": (1, "string"), "config": (2, _VALUE)}, {"diagnostics": (1, _PROBLEMS)}),
    "ReadResource": (
        {"type_name": (1, "string"), "current_state": (2, _VALUE)}, {"new_state": (1, _VALUE), "diagnostics": (2, _PROBLEMS)}
    ),
    "PlanResourceChange": (
        {"type_name": (1, "string"), "prior_state": (2, _VALUE), "proposed_new_state": (3, _VALUE), "config": (4, _VALUE)},
        {"planned_state": (1, _VALUE), "requires_replace": (2, "*AttributePath"), "diagnostics": (4, _PROBLEMS)},
    ),
    "ApplyResourceChange": (
        {"type_name": (1, "string"), "prior_state": (2, _VALUE), "planned_state": (3, _VALUE), "config": (4, _VALUE)},
        {"new_state": (1, _VALUE), "diagnostics": (3, _PROBLEMS)},
    ),
    "ReadDataSource": ({"type_name": (1, "string"), "config": (2, _VALUE)}, {"state": (1, _VALUE), "diagnostics": (2, _PROBLEMS)}),
    "Stop": ({}, {"Error": (1, "string")}),
}  # fmt: skip


def _pool():
    file = descriptor_pb2.FileDescriptorProto(name="tfplugin5.proto", package="tfplugin5", syntax="proto3")
    messages = dict(_MESSAGES)
    for call, (asked, answered) in _CALLS.items():
        messages |= {f"{call}Request": asked, f"{call}Response": answered}
    for name, fields in messages.items():
        made = file.message_type.add(name=name)
        for called, (number, kind) in fields.items():
            plain = kind.removeprefix("*")
            one = made.field.add(name=called, number=number, label=3 if kind.startswith("*") else 1)
            if plain in _KINDS:
                one.type = _KINDS[plain]
            else:
                one.type, one.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, f".tfplugin5.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tfplugin5.{name}")) for name in messages}


MESSAGE = _pool()
"""The messages' classes by name; of a call, <call>Request and <call>Response."""


@contextlib.contextmanager
def served(providers):
    """The value of TF_REATTACH_PROVIDERS while these are served. ``providers``: by source address, what answers calls.

    One that answers has a method ``answer(call, request, caller)``, which returns the response. ``caller``: the
    connection; each configured instance of a provider has its own.
    """
    running, told = [], {}
    try:
        for address, provider in providers.items():
            # one at a time: what a provider keeps, and moto, are not asked for more
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=_LARGE)
            handlers = {call: _handler(provider, call) for call in _CALLS}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers),))
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            running.append(server)
            where = {"Network": "tcp", "String": f"127.0.0.1:{port}"}
            shape = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True, "Addr": where}
            told[address] = shape
        yield json.dumps(told)
    finally:
        for server in running:
            server.stop(grace=None).wait()


_LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def _handler(provider, call):
    def answer(request, context):
        return provider.answer(call, request, context.peer())

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=MESSAGE[f"{call}Request"].FromString,
        response_serializer=MESSAGE[f"{call}Response"].SerializeToString,
    )
