"""The pool that the contract's descriptors live in."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_pool = descriptor_pool.DescriptorPool()
_loaded: set[str] = set()


def load(files: bytes) -> dict[str, Any]:
    """Loads a serialised FileDescriptorSet whose last file is the one that counts.

    Returns what a generated module holds: the file's descriptor, its message classes,
    its enums, and the values of its enums.
    """
    name = ""
    for file in descriptor_pb2.FileDescriptorSet.FromString(files).file:
        name = file.name
        if name not in _loaded:  # the well-known types come with each set
            _pool.AddSerializedFile(file.SerializeToString())
            _loaded.add(name)
    descriptor: Any = _pool.FindFileByName(name)
    names: dict[str, Any] = {"DESCRIPTOR": descriptor}
    for message in descriptor.message_types_by_name.values():
        names[message.name] = message_factory.GetMessageClass(message)
    for enum in descriptor.enum_types_by_name.values():
        names[enum.name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    return names
