from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValueEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_ENCODING_STRUCT: _ClassVar[ValueEncoding]
    VALUE_ENCODING_JSON: _ClassVar[ValueEncoding]
    VALUE_ENCODING_NONE: _ClassVar[ValueEncoding]
    VALUE_ENCODING_NATIVE: _ClassVar[ValueEncoding]

class FindOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIND_ORDER_KEY: _ClassVar[FindOrder]
    FIND_ORDER_CHANGED: _ClassVar[FindOrder]

class Comparison(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARISON_EQUAL: _ClassVar[Comparison]
    COMPARISON_NOT_EQUAL: _ClassVar[Comparison]
    COMPARISON_LESS: _ClassVar[Comparison]
    COMPARISON_LESS_OR_EQUAL: _ClassVar[Comparison]
    COMPARISON_GREATER: _ClassVar[Comparison]
    COMPARISON_GREATER_OR_EQUAL: _ClassVar[Comparison]
    COMPARISON_IN: _ClassVar[Comparison]
    COMPARISON_EXISTS: _ClassVar[Comparison]

class TransactionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSACTION_STATE_UNSPECIFIED: _ClassVar[TransactionState]
    TRANSACTION_STATE_OPEN: _ClassVar[TransactionState]
    TRANSACTION_STATE_COMMITTED: _ClassVar[TransactionState]
    TRANSACTION_STATE_ABORTED: _ClassVar[TransactionState]
    TRANSACTION_STATE_EXPIRED: _ClassVar[TransactionState]
    TRANSACTION_STATE_NEVER_SEEN: _ClassVar[TransactionState]
    TRANSACTION_STATE_TOO_OLD: _ClassVar[TransactionState]

class ClusterRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_ROLE_UNSPECIFIED: _ClassVar[ClusterRole]
    CLUSTER_ROLE_FOLLOWER: _ClassVar[ClusterRole]
    CLUSTER_ROLE_CANDIDATE: _ClassVar[ClusterRole]
    CLUSTER_ROLE_LEADER: _ClassVar[ClusterRole]
    CLUSTER_ROLE_LEARNER: _ClassVar[ClusterRole]

class StreamKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_KIND_UNSPECIFIED: _ClassVar[StreamKind]
    STREAM_KIND_WATCH: _ClassVar[StreamKind]
    STREAM_KIND_REPLAY: _ClassVar[StreamKind]
    STREAM_KIND_SESSION: _ClassVar[StreamKind]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN: _ClassVar[ErrorCode]
    INVALID_REQUEST: _ClassVar[ErrorCode]
    TXN_NOT_FOUND: _ClassVar[ErrorCode]
    TXN_EXPIRED: _ClassVar[ErrorCode]
    TXN_ALREADY_COMMITTED: _ClassVar[ErrorCode]
    KEY_NOT_FOUND: _ClassVar[ErrorCode]
    VERSION_NOT_FOUND: _ClassVar[ErrorCode]
    STORAGE_ERROR: _ClassVar[ErrorCode]
    INTERNAL_ERROR: _ClassVar[ErrorCode]
    CONFLICT: _ClassVar[ErrorCode]
    PRECONDITION_FAILED: _ClassVar[ErrorCode]
    LIMIT_EXCEEDED: _ClassVar[ErrorCode]
    DATA_LOSS: _ClassVar[ErrorCode]
    TXN_ID_REUSED: _ClassVar[ErrorCode]
    TXN_ABORTED: _ClassVar[ErrorCode]
    OUTCOME_UNKNOWN: _ClassVar[ErrorCode]
    UNAVAILABLE: _ClassVar[ErrorCode]
    DISK_FULL: _ClassVar[ErrorCode]
    NOT_REPRESENTABLE: _ClassVar[ErrorCode]
    TXN_TOO_OLD: _ClassVar[ErrorCode]
    UNAUTHENTICATED: _ClassVar[ErrorCode]
    PERMISSION_DENIED: _ClassVar[ErrorCode]
    OUT_OF_RANGE: _ClassVar[ErrorCode]
    ERASED: _ClassVar[ErrorCode]
    EPOCH_CHANGED: _ClassVar[ErrorCode]
    OVERLOADED: _ClassVar[ErrorCode]
    LEASE_HELD: _ClassVar[ErrorCode]
    LEASE_LOST: _ClassVar[ErrorCode]
    EVALUATION_FAILED: _ClassVar[ErrorCode]
    NOT_LEADER: _ClassVar[ErrorCode]
VALUE_ENCODING_STRUCT: ValueEncoding
VALUE_ENCODING_JSON: ValueEncoding
VALUE_ENCODING_NONE: ValueEncoding
VALUE_ENCODING_NATIVE: ValueEncoding
FIND_ORDER_KEY: FindOrder
FIND_ORDER_CHANGED: FindOrder
COMPARISON_EQUAL: Comparison
COMPARISON_NOT_EQUAL: Comparison
COMPARISON_LESS: Comparison
COMPARISON_LESS_OR_EQUAL: Comparison
COMPARISON_GREATER: Comparison
COMPARISON_GREATER_OR_EQUAL: Comparison
COMPARISON_IN: Comparison
COMPARISON_EXISTS: Comparison
TRANSACTION_STATE_UNSPECIFIED: TransactionState
TRANSACTION_STATE_OPEN: TransactionState
TRANSACTION_STATE_COMMITTED: TransactionState
TRANSACTION_STATE_ABORTED: TransactionState
TRANSACTION_STATE_EXPIRED: TransactionState
TRANSACTION_STATE_NEVER_SEEN: TransactionState
TRANSACTION_STATE_TOO_OLD: TransactionState
CLUSTER_ROLE_UNSPECIFIED: ClusterRole
CLUSTER_ROLE_FOLLOWER: ClusterRole
CLUSTER_ROLE_CANDIDATE: ClusterRole
CLUSTER_ROLE_LEADER: ClusterRole
CLUSTER_ROLE_LEARNER: ClusterRole
STREAM_KIND_UNSPECIFIED: StreamKind
STREAM_KIND_WATCH: StreamKind
STREAM_KIND_REPLAY: StreamKind
STREAM_KIND_SESSION: StreamKind
UNKNOWN: ErrorCode
INVALID_REQUEST: ErrorCode
TXN_NOT_FOUND: ErrorCode
TXN_EXPIRED: ErrorCode
TXN_ALREADY_COMMITTED: ErrorCode
KEY_NOT_FOUND: ErrorCode
VERSION_NOT_FOUND: ErrorCode
STORAGE_ERROR: ErrorCode
INTERNAL_ERROR: ErrorCode
CONFLICT: ErrorCode
PRECONDITION_FAILED: ErrorCode
LIMIT_EXCEEDED: ErrorCode
DATA_LOSS: ErrorCode
TXN_ID_REUSED: ErrorCode
TXN_ABORTED: ErrorCode
OUTCOME_UNKNOWN: ErrorCode
UNAVAILABLE: ErrorCode
DISK_FULL: ErrorCode
NOT_REPRESENTABLE: ErrorCode
TXN_TOO_OLD: ErrorCode
UNAUTHENTICATED: ErrorCode
PERMISSION_DENIED: ErrorCode
OUT_OF_RANGE: ErrorCode
ERASED: ErrorCode
EPOCH_CHANGED: ErrorCode
OVERLOADED: ErrorCode
LEASE_HELD: ErrorCode
LEASE_LOST: ErrorCode
EVALUATION_FAILED: ErrorCode
NOT_LEADER: ErrorCode

class Inexact(_message.Message):
    __slots__ = ("numbers", "places")
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    numbers: int
    places: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, numbers: _Optional[int] = ..., places: _Optional[_Iterable[str]] = ...) -> None: ...

class At(_message.Message):
    __slots__ = ("commit_ts", "time")
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    commit_ts: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, commit_ts: _Optional[int] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class KeyPrecondition(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "expected_version", "lease")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    expected_version: int
    lease: str
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., expected_version: _Optional[int] = ..., lease: _Optional[str] = ...) -> None: ...

class HeadPrecondition(_message.Message):
    __slots__ = ("namespace", "agent_id", "expected_head")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_HEAD_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    expected_head: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., expected_head: _Optional[int] = ...) -> None: ...

class HealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: str
    def __init__(self, status: _Optional[str] = ...) -> None: ...

class VersionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VersionResponse(_message.Message):
    __slots__ = ("version", "git_sha")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GIT_SHA_FIELD_NUMBER: _ClassVar[int]
    version: str
    git_sha: str
    def __init__(self, version: _Optional[str] = ..., git_sha: _Optional[str] = ...) -> None: ...

class BeginTransactionRequest(_message.Message):
    __slots__ = ("timeout_ms",)
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    timeout_ms: int
    def __init__(self, timeout_ms: _Optional[int] = ...) -> None: ...

class BeginTransactionResponse(_message.Message):
    __slots__ = ("txn_id", "snapshot_ts", "timeout_ms")
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_TS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    snapshot_ts: int
    timeout_ms: int
    def __init__(self, txn_id: _Optional[str] = ..., snapshot_ts: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class WriteRequest(_message.Message):
    __slots__ = ("txn_id", "namespace", "agent_id", "key", "value", "value_json", "expected_version", "value_bytes", "content_type")
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    namespace: str
    agent_id: str
    key: str
    value: _struct_pb2.Struct
    value_json: bytes
    expected_version: int
    value_bytes: bytes
    content_type: str
    def __init__(self, txn_id: _Optional[str] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value_json: _Optional[bytes] = ..., expected_version: _Optional[int] = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ...) -> None: ...

class WriteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("txn_id", "namespace", "agent_id", "key", "expected_version")
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    namespace: str
    agent_id: str
    key: str
    expected_version: int
    def __init__(self, txn_id: _Optional[str] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., expected_version: _Optional[int] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("txn_id", "metadata", "key_preconditions", "head_preconditions")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    KEY_PRECONDITIONS_FIELD_NUMBER: _ClassVar[int]
    HEAD_PRECONDITIONS_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    metadata: _containers.ScalarMap[str, str]
    key_preconditions: _containers.RepeatedCompositeFieldContainer[KeyPrecondition]
    head_preconditions: _containers.RepeatedCompositeFieldContainer[HeadPrecondition]
    def __init__(self, txn_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., key_preconditions: _Optional[_Iterable[_Union[KeyPrecondition, _Mapping]]] = ..., head_preconditions: _Optional[_Iterable[_Union[HeadPrecondition, _Mapping]]] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("commit_ts", "commit_time", "versions")
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    commit_ts: int
    commit_time: _timestamp_pb2.Timestamp
    versions: _containers.RepeatedCompositeFieldContainer[KeyVersion]
    def __init__(self, commit_ts: _Optional[int] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[KeyVersion, _Mapping]]] = ...) -> None: ...

class KeyVersion(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "version")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    version: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class AbortRequest(_message.Message):
    __slots__ = ("txn_id",)
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    def __init__(self, txn_id: _Optional[str] = ...) -> None: ...

class AbortResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStateRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "encoding", "at", "txn_id", "strict", "min_read_ts", "max_staleness_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    encoding: ValueEncoding
    at: At
    txn_id: str
    strict: bool
    min_read_ts: int
    max_staleness_ms: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., at: _Optional[_Union[At, _Mapping]] = ..., txn_id: _Optional[str] = ..., strict: bool = ..., min_read_ts: _Optional[int] = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class GetStateResponse(_message.Message):
    __slots__ = ("value", "version", "commit_ts", "exists", "value_json", "commit_time", "read_ts", "inexact", "erased", "pruned", "value_bytes", "content_type", "expires_at", "due_at")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    READ_TS_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Struct
    version: int
    commit_ts: int
    exists: bool
    value_json: bytes
    commit_time: _timestamp_pb2.Timestamp
    read_ts: int
    inexact: Inexact
    erased: bool
    pruned: bool
    value_bytes: bytes
    content_type: str
    expires_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    def __init__(self, value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version: _Optional[int] = ..., commit_ts: _Optional[int] = ..., exists: bool = ..., value_json: _Optional[bytes] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., read_ts: _Optional[int] = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., erased: bool = ..., pruned: bool = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetStateAtVersionRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "version", "encoding", "strict")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    version: int
    encoding: ValueEncoding
    strict: bool
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., version: _Optional[int] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., strict: bool = ...) -> None: ...

class GetStateAtVersionResponse(_message.Message):
    __slots__ = ("value", "version", "commit_ts", "exists", "value_json", "commit_time", "inexact", "value_bytes", "content_type")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Struct
    version: int
    commit_ts: int
    exists: bool
    value_json: bytes
    commit_time: _timestamp_pb2.Timestamp
    inexact: Inexact
    value_bytes: bytes
    content_type: str
    def __init__(self, value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version: _Optional[int] = ..., commit_ts: _Optional[int] = ..., exists: bool = ..., value_json: _Optional[bytes] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "prefix", "limit", "page_token", "reverse", "at", "txn_id", "min_read_ts", "delimiter", "max_staleness_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    prefix: str
    limit: int
    page_token: str
    reverse: bool
    at: At
    txn_id: str
    min_read_ts: int
    delimiter: str
    max_staleness_ms: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., reverse: bool = ..., at: _Optional[_Union[At, _Mapping]] = ..., txn_id: _Optional[str] = ..., min_read_ts: _Optional[int] = ..., delimiter: _Optional[str] = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys", "next_page_token", "read_ts", "folders")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    READ_TS_FIELD_NUMBER: _ClassVar[int]
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    read_ts: int
    folders: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ..., read_ts: _Optional[int] = ..., folders: _Optional[_Iterable[str]] = ...) -> None: ...

class ScanPrefixRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "prefix", "encoding", "limit", "page_token", "reverse", "at", "txn_id", "strict", "min_read_ts", "max_staleness_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    prefix: str
    encoding: ValueEncoding
    limit: int
    page_token: str
    reverse: bool
    at: At
    txn_id: str
    strict: bool
    min_read_ts: int
    max_staleness_ms: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., reverse: bool = ..., at: _Optional[_Union[At, _Mapping]] = ..., txn_id: _Optional[str] = ..., strict: bool = ..., min_read_ts: _Optional[int] = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class ScanPrefixResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "read_ts")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    READ_TS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StateEntry]
    next_page_token: str
    read_ts: int
    def __init__(self, entries: _Optional[_Iterable[_Union[StateEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., read_ts: _Optional[int] = ...) -> None: ...

class StateEntry(_message.Message):
    __slots__ = ("key", "value", "version", "commit_ts", "value_json", "commit_time", "inexact", "erased", "pruned", "value_bytes", "content_type", "expires_at", "due_at", "namespace", "agent_id", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _struct_pb2.Struct
    version: int
    commit_ts: int
    value_json: bytes
    commit_time: _timestamp_pb2.Timestamp
    inexact: Inexact
    erased: bool
    pruned: bool
    value_bytes: bytes
    content_type: str
    expires_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    namespace: str
    agent_id: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version: _Optional[int] = ..., commit_ts: _Optional[int] = ..., value_json: _Optional[bytes] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., erased: bool = ..., pruned: bool = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "start_ts", "end_ts", "encoding", "key_prefix", "start_time", "end_time", "limit", "all_agents", "strict", "epoch", "all_operations", "with_lineage")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_TS_FIELD_NUMBER: _ClassVar[int]
    END_TS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ALL_AGENTS_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ALL_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    WITH_LINEAGE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    start_ts: int
    end_ts: int
    encoding: ValueEncoding
    key_prefix: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    limit: int
    all_agents: bool
    strict: bool
    epoch: str
    all_operations: bool
    with_lineage: bool
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., start_ts: _Optional[int] = ..., end_ts: _Optional[int] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., key_prefix: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., all_agents: bool = ..., strict: bool = ..., epoch: _Optional[str] = ..., all_operations: bool = ..., with_lineage: bool = ...) -> None: ...

class ReplayEvent(_message.Message):
    __slots__ = ("txn_id", "commit_ts", "operations", "commit_time", "metadata", "principal", "trace_id", "epoch", "cause")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    commit_ts: int
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    commit_time: _timestamp_pb2.Timestamp
    metadata: _containers.ScalarMap[str, str]
    principal: str
    trace_id: str
    epoch: str
    cause: str
    def __init__(self, txn_id: _Optional[str] = ..., commit_ts: _Optional[int] = ..., operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., principal: _Optional[str] = ..., trace_id: _Optional[str] = ..., epoch: _Optional[str] = ..., cause: _Optional[str] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("key", "value", "version", "value_json", "namespace", "agent_id", "deleted", "inexact", "erased", "pruned", "value_bytes", "content_type", "lease", "due", "act")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _struct_pb2.Struct
    version: int
    value_json: bytes
    namespace: str
    agent_id: str
    deleted: bool
    inexact: Inexact
    erased: bool
    pruned: bool
    value_bytes: bytes
    content_type: str
    lease: LeaseChange
    due: bool
    act: RangeAct
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., version: _Optional[int] = ..., value_json: _Optional[bytes] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., deleted: bool = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., erased: bool = ..., pruned: bool = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., lease: _Optional[_Union[LeaseChange, _Mapping]] = ..., due: bool = ..., act: _Optional[_Union[RangeAct, _Mapping]] = ...) -> None: ...

class LeaseChange(_message.Message):
    __slots__ = ("holder", "ttl_ms")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    holder: str
    ttl_ms: int
    def __init__(self, holder: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class RangeAct(_message.Message):
    __slots__ = ("kind", "namespace", "agent_id", "commit_ts")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[RangeAct.Kind]
        DELETED: _ClassVar[RangeAct.Kind]
        RESTORED: _ClassVar[RangeAct.Kind]
        FORKED: _ClassVar[RangeAct.Kind]
    KIND_UNSPECIFIED: RangeAct.Kind
    DELETED: RangeAct.Kind
    RESTORED: RangeAct.Kind
    FORKED: RangeAct.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    kind: RangeAct.Kind
    namespace: str
    agent_id: str
    commit_ts: int
    def __init__(self, kind: _Optional[_Union[RangeAct.Kind, str]] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., commit_ts: _Optional[int] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("events", "cursor", "epoch")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[ReplayEvent]
    cursor: int
    epoch: str
    def __init__(self, events: _Optional[_Iterable[_Union[ReplayEvent, _Mapping]]] = ..., cursor: _Optional[int] = ..., epoch: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "after_ts", "encoding", "key_prefix", "all_agents", "strict", "epoch", "all_operations", "lease", "due")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_TS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    ALL_AGENTS_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ALL_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    after_ts: int
    encoding: ValueEncoding
    key_prefix: str
    all_agents: bool
    strict: bool
    epoch: str
    all_operations: bool
    lease: str
    due: bool
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., after_ts: _Optional[int] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., key_prefix: _Optional[str] = ..., all_agents: bool = ..., strict: bool = ..., epoch: _Optional[str] = ..., all_operations: bool = ..., lease: _Optional[str] = ..., due: bool = ...) -> None: ...

class TransactRequest(_message.Message):
    __slots__ = ("txn_id", "operations", "key_preconditions", "head_preconditions", "metadata", "reads", "timeout_ms", "encoding")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    KEY_PRECONDITIONS_FIELD_NUMBER: _ClassVar[int]
    HEAD_PRECONDITIONS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    operations: _containers.RepeatedCompositeFieldContainer[TransactOperation]
    key_preconditions: _containers.RepeatedCompositeFieldContainer[KeyPrecondition]
    head_preconditions: _containers.RepeatedCompositeFieldContainer[HeadPrecondition]
    metadata: _containers.ScalarMap[str, str]
    reads: ReadSet
    timeout_ms: int
    encoding: ValueEncoding
    def __init__(self, txn_id: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[TransactOperation, _Mapping]]] = ..., key_preconditions: _Optional[_Iterable[_Union[KeyPrecondition, _Mapping]]] = ..., head_preconditions: _Optional[_Iterable[_Union[HeadPrecondition, _Mapping]]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., reads: _Optional[_Union[ReadSet, _Mapping]] = ..., timeout_ms: _Optional[int] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ...) -> None: ...

class ReadSet(_message.Message):
    __slots__ = ("snapshot_ts", "keys", "ranges", "epoch")
    SNAPSHOT_TS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    snapshot_ts: int
    keys: _containers.RepeatedCompositeFieldContainer[ReadKey]
    ranges: _containers.RepeatedCompositeFieldContainer[ReadRange]
    epoch: str
    def __init__(self, snapshot_ts: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[ReadKey, _Mapping]]] = ..., ranges: _Optional[_Iterable[_Union[ReadRange, _Mapping]]] = ..., epoch: _Optional[str] = ...) -> None: ...

class ReadKey(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "version")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    version: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ReadRange(_message.Message):
    __slots__ = ("namespace", "agent_id", "prefix", "first", "last")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    prefix: str
    first: str
    last: str
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., first: _Optional[str] = ..., last: _Optional[str] = ...) -> None: ...

class TransactOperation(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "value", "value_json", "delete", "expected_version", "put", "increment", "merge_json", "delete_prefix", "delete_agent", "restore", "fork", "acquire", "release", "claim", "complete")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    MERGE_JSON_FIELD_NUMBER: _ClassVar[int]
    DELETE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    DELETE_AGENT_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    ACQUIRE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    value: _struct_pb2.Struct
    value_json: bytes
    delete: bool
    expected_version: int
    put: Put
    increment: Increment
    merge_json: bytes
    delete_prefix: bool
    delete_agent: bool
    restore: Restore
    fork: Fork
    acquire: AcquireLease
    release: ReleaseLease
    claim: ClaimDue
    complete: CompleteDue
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value_json: _Optional[bytes] = ..., delete: bool = ..., expected_version: _Optional[int] = ..., put: _Optional[_Union[Put, _Mapping]] = ..., increment: _Optional[_Union[Increment, _Mapping]] = ..., merge_json: _Optional[bytes] = ..., delete_prefix: bool = ..., delete_agent: bool = ..., restore: _Optional[_Union[Restore, _Mapping]] = ..., fork: _Optional[_Union[Fork, _Mapping]] = ..., acquire: _Optional[_Union[AcquireLease, _Mapping]] = ..., release: _Optional[_Union[ReleaseLease, _Mapping]] = ..., claim: _Optional[_Union[ClaimDue, _Mapping]] = ..., complete: _Optional[_Union[CompleteDue, _Mapping]] = ...) -> None: ...

class Put(_message.Message):
    __slots__ = ("value", "value_json", "value_bytes", "content_type", "append", "if_absent", "ttl_ms", "due_at", "due_in_ms")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    IF_ABSENT_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_IN_MS_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Struct
    value_json: bytes
    value_bytes: bytes
    content_type: str
    append: bool
    if_absent: bool
    ttl_ms: int
    due_at: _timestamp_pb2.Timestamp
    due_in_ms: int
    def __init__(self, value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value_json: _Optional[bytes] = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., append: bool = ..., if_absent: bool = ..., ttl_ms: _Optional[int] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., due_in_ms: _Optional[int] = ...) -> None: ...

class Increment(_message.Message):
    __slots__ = ("pointer", "delta", "min", "max")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    delta: str
    min: str
    max: str
    def __init__(self, pointer: _Optional[str] = ..., delta: _Optional[str] = ..., min: _Optional[str] = ..., max: _Optional[str] = ...) -> None: ...

class Restore(_message.Message):
    __slots__ = ("at",)
    AT_FIELD_NUMBER: _ClassVar[int]
    at: At
    def __init__(self, at: _Optional[_Union[At, _Mapping]] = ...) -> None: ...

class Fork(_message.Message):
    __slots__ = ("namespace", "agent_id", "at")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    at: At
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., at: _Optional[_Union[At, _Mapping]] = ...) -> None: ...

class AcquireLease(_message.Message):
    __slots__ = ("holder", "ttl_ms")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    holder: str
    ttl_ms: int
    def __init__(self, holder: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class ReleaseLease(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: int
    def __init__(self, token: _Optional[int] = ...) -> None: ...

class ClaimDue(_message.Message):
    __slots__ = ("holder", "ttl_ms", "limit", "all_agents")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ALL_AGENTS_FIELD_NUMBER: _ClassVar[int]
    holder: str
    ttl_ms: int
    limit: int
    all_agents: bool
    def __init__(self, holder: _Optional[str] = ..., ttl_ms: _Optional[int] = ..., limit: _Optional[int] = ..., all_agents: bool = ...) -> None: ...

class CompleteDue(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: int
    def __init__(self, token: _Optional[int] = ...) -> None: ...

class OperationResult(_message.Message):
    __slots__ = ("key", "version", "value", "value_json", "value_bytes", "content_type", "inexact", "lease", "claimed", "keys", "existed")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: int
    value: _struct_pb2.Struct
    value_json: bytes
    value_bytes: bytes
    content_type: str
    inexact: Inexact
    lease: Lease
    claimed: _containers.RepeatedCompositeFieldContainer[DueRecord]
    keys: int
    existed: bool
    def __init__(self, key: _Optional[str] = ..., version: _Optional[int] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value_json: _Optional[bytes] = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ..., claimed: _Optional[_Iterable[_Union[DueRecord, _Mapping]]] = ..., keys: _Optional[int] = ..., existed: bool = ...) -> None: ...

class DueRecord(_message.Message):
    __slots__ = ("record", "due_at", "lease")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    record: StateEntry
    due_at: _timestamp_pb2.Timestamp
    lease: Lease
    def __init__(self, record: _Optional[_Union[StateEntry, _Mapping]] = ..., due_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., lease: _Optional[_Union[Lease, _Mapping]] = ...) -> None: ...

class TransactResponse(_message.Message):
    __slots__ = ("commit_ts", "commit_time", "versions", "epoch", "results")
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    commit_ts: int
    commit_time: _timestamp_pb2.Timestamp
    versions: _containers.RepeatedScalarFieldContainer[int]
    epoch: str
    results: _containers.RepeatedCompositeFieldContainer[OperationResult]
    def __init__(self, commit_ts: _Optional[int] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., versions: _Optional[_Iterable[int]] = ..., epoch: _Optional[str] = ..., results: _Optional[_Iterable[_Union[OperationResult, _Mapping]]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("namespace", "agent_id", "name", "token", "holder", "ttl_ms", "deadline", "acquired_ts", "acquired_at")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    ACQUIRED_TS_FIELD_NUMBER: _ClassVar[int]
    ACQUIRED_AT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    name: str
    token: int
    holder: str
    ttl_ms: int
    deadline: _timestamp_pb2.Timestamp
    acquired_ts: int
    acquired_at: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., name: _Optional[str] = ..., token: _Optional[int] = ..., holder: _Optional[str] = ..., ttl_ms: _Optional[int] = ..., deadline: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., acquired_ts: _Optional[int] = ..., acquired_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RenewLeasesRequest(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseRenewal]
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseRenewal, _Mapping]]] = ...) -> None: ...

class LeaseRenewal(_message.Message):
    __slots__ = ("namespace", "agent_id", "lease", "token", "ttl_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    lease: str
    token: int
    ttl_ms: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., lease: _Optional[str] = ..., token: _Optional[int] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class RenewLeasesResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseRenewed]
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseRenewed, _Mapping]]] = ...) -> None: ...

class LeaseRenewed(_message.Message):
    __slots__ = ("lost", "deadline")
    LOST_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    lost: bool
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, lost: bool = ..., deadline: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListLeasesRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "prefix", "limit", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    prefix: str
    limit: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLeasesResponse(_message.Message):
    __slots__ = ("leases", "next_page_token")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    next_page_token: str
    def __init__(self, leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RefreshExpiryRequest(_message.Message):
    __slots__ = ("names", "ttl_ms")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedCompositeFieldContainer[RecordName]
    ttl_ms: int
    def __init__(self, names: _Optional[_Iterable[_Union[RecordName, _Mapping]]] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class RefreshExpiryResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[RefreshedExpiry]
    def __init__(self, records: _Optional[_Iterable[_Union[RefreshedExpiry, _Mapping]]] = ...) -> None: ...

class RefreshedExpiry(_message.Message):
    __slots__ = ("expires_at", "version")
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    expires_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, expires_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class FindRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "all_agents", "prefix", "where", "at", "encoding", "strict", "order", "limit", "page_token", "min_read_ts", "with_metadata", "max_staleness_ms")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ALL_AGENTS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    WITH_METADATA_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    all_agents: bool
    prefix: str
    where: _containers.RepeatedCompositeFieldContainer[Condition]
    at: At
    encoding: ValueEncoding
    strict: bool
    order: FindOrder
    limit: int
    page_token: str
    min_read_ts: int
    with_metadata: bool
    max_staleness_ms: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., all_agents: bool = ..., prefix: _Optional[str] = ..., where: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., at: _Optional[_Union[At, _Mapping]] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., strict: bool = ..., order: _Optional[_Union[FindOrder, str]] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., min_read_ts: _Optional[int] = ..., with_metadata: bool = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("pointer", "metadata", "comparison", "value", "negate")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    metadata: str
    comparison: Comparison
    value: str
    negate: bool
    def __init__(self, pointer: _Optional[str] = ..., metadata: _Optional[str] = ..., comparison: _Optional[_Union[Comparison, str]] = ..., value: _Optional[str] = ..., negate: bool = ...) -> None: ...

class FindResponse(_message.Message):
    __slots__ = ("entries", "next_page_token", "read_ts", "scanned")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    READ_TS_FIELD_NUMBER: _ClassVar[int]
    SCANNED_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StateEntry]
    next_page_token: str
    read_ts: int
    scanned: int
    def __init__(self, entries: _Optional[_Iterable[_Union[StateEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., read_ts: _Optional[int] = ..., scanned: _Optional[int] = ...) -> None: ...

class DiffRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "to", "to_namespace", "to_agent_id", "prefix", "limit", "page_token", "encoding")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TO_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TO_AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    to: At
    to_namespace: str
    to_agent_id: str
    prefix: str
    limit: int
    page_token: str
    encoding: ValueEncoding
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., to: _Optional[_Union[At, _Mapping]] = ..., to_namespace: _Optional[str] = ..., to_agent_id: _Optional[str] = ..., prefix: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., **kwargs) -> None: ...

class DiffResponse(_message.Message):
    __slots__ = ("keys", "next_page_token", "from_ts", "to_ts")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_TS_FIELD_NUMBER: _ClassVar[int]
    TO_TS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[KeyDiff]
    next_page_token: str
    from_ts: int
    to_ts: int
    def __init__(self, keys: _Optional[_Iterable[_Union[KeyDiff, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., from_ts: _Optional[int] = ..., to_ts: _Optional[int] = ...) -> None: ...

class KeyDiff(_message.Message):
    __slots__ = ("key", "before", "after", "patch_json")
    KEY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PATCH_JSON_FIELD_NUMBER: _ClassVar[int]
    key: str
    before: GetStateResponse
    after: GetStateResponse
    patch_json: bytes
    def __init__(self, key: _Optional[str] = ..., before: _Optional[_Union[GetStateResponse, _Mapping]] = ..., after: _Optional[_Union[GetStateResponse, _Mapping]] = ..., patch_json: _Optional[bytes] = ...) -> None: ...

class GetAgentRequest(_message.Message):
    __slots__ = ("namespace", "agent_id")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ...) -> None: ...

class GetAgentResponse(_message.Message):
    __slots__ = ("agent", "forked_from", "forks")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    FORKED_FROM_FIELD_NUMBER: _ClassVar[int]
    FORKS_FIELD_NUMBER: _ClassVar[int]
    agent: Agent
    forked_from: ForkOrigin
    forks: _containers.RepeatedCompositeFieldContainer[Agent]
    def __init__(self, agent: _Optional[_Union[Agent, _Mapping]] = ..., forked_from: _Optional[_Union[ForkOrigin, _Mapping]] = ..., forks: _Optional[_Iterable[_Union[Agent, _Mapping]]] = ...) -> None: ...

class ForkOrigin(_message.Message):
    __slots__ = ("namespace", "agent_id", "commit_ts", "forked_ts", "forked_at")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    FORKED_TS_FIELD_NUMBER: _ClassVar[int]
    FORKED_AT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    commit_ts: int
    forked_ts: int
    forked_at: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., commit_ts: _Optional[int] = ..., forked_ts: _Optional[int] = ..., forked_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTransactionRequest(_message.Message):
    __slots__ = ("txn_id",)
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    txn_id: str
    def __init__(self, txn_id: _Optional[str] = ...) -> None: ...

class GetTransactionResponse(_message.Message):
    __slots__ = ("state", "commit_ts", "commit_time", "versions")
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    state: TransactionState
    commit_ts: int
    commit_time: _timestamp_pb2.Timestamp
    versions: _containers.RepeatedCompositeFieldContainer[KeyVersion]
    def __init__(self, state: _Optional[_Union[TransactionState, str]] = ..., commit_ts: _Optional[int] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., versions: _Optional[_Iterable[_Union[KeyVersion, _Mapping]]] = ...) -> None: ...

class BatchGetStateRequest(_message.Message):
    __slots__ = ("names", "encoding", "at", "txn_id", "strict", "min_read_ts", "max_staleness_ms")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_MS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedCompositeFieldContainer[RecordName]
    encoding: ValueEncoding
    at: At
    txn_id: str
    strict: bool
    min_read_ts: int
    max_staleness_ms: int
    def __init__(self, names: _Optional[_Iterable[_Union[RecordName, _Mapping]]] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., at: _Optional[_Union[At, _Mapping]] = ..., txn_id: _Optional[str] = ..., strict: bool = ..., min_read_ts: _Optional[int] = ..., max_staleness_ms: _Optional[int] = ...) -> None: ...

class RecordName(_message.Message):
    __slots__ = ("namespace", "agent_id", "key")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class BatchGetStateResponse(_message.Message):
    __slots__ = ("states", "read_ts")
    STATES_FIELD_NUMBER: _ClassVar[int]
    READ_TS_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[GetStateResponse]
    read_ts: int
    def __init__(self, states: _Optional[_Iterable[_Union[GetStateResponse, _Mapping]]] = ..., read_ts: _Optional[int] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "encoding", "limit", "page_token", "oldest_first", "at", "strict", "min_read_ts")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STRICT_FIELD_NUMBER: _ClassVar[int]
    MIN_READ_TS_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    encoding: ValueEncoding
    limit: int
    page_token: str
    oldest_first: bool
    at: At
    strict: bool
    min_read_ts: int
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., encoding: _Optional[_Union[ValueEncoding, str]] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., oldest_first: bool = ..., at: _Optional[_Union[At, _Mapping]] = ..., strict: bool = ..., min_read_ts: _Optional[int] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[HistoryEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[HistoryEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class HistoryEntry(_message.Message):
    __slots__ = ("version", "commit_ts", "commit_time", "txn_id", "metadata", "deleted", "value", "value_json", "inexact", "erased", "pruned", "principal", "trace_id", "value_bytes", "content_type", "cause")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    TXN_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    INEXACT_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    version: int
    commit_ts: int
    commit_time: _timestamp_pb2.Timestamp
    txn_id: str
    metadata: _containers.ScalarMap[str, str]
    deleted: bool
    value: _struct_pb2.Struct
    value_json: bytes
    inexact: Inexact
    erased: bool
    pruned: bool
    principal: str
    trace_id: str
    value_bytes: bytes
    content_type: str
    cause: str
    def __init__(self, version: _Optional[int] = ..., commit_ts: _Optional[int] = ..., commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., txn_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., deleted: bool = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value_json: _Optional[bytes] = ..., inexact: _Optional[_Union[Inexact, _Mapping]] = ..., erased: bool = ..., pruned: bool = ..., principal: _Optional[str] = ..., trace_id: _Optional[str] = ..., value_bytes: _Optional[bytes] = ..., content_type: _Optional[str] = ..., cause: _Optional[str] = ...) -> None: ...

class ListAgentsRequest(_message.Message):
    __slots__ = ("namespace", "prefix", "limit", "page_token")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    prefix: str
    limit: int
    page_token: str
    def __init__(self, namespace: _Optional[str] = ..., prefix: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAgentsResponse(_message.Message):
    __slots__ = ("agents", "next_page_token")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[Agent]
    next_page_token: str
    def __init__(self, agents: _Optional[_Iterable[_Union[Agent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("namespace", "agent_id", "first_ts", "head_ts", "head_time")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_TS_FIELD_NUMBER: _ClassVar[int]
    HEAD_TS_FIELD_NUMBER: _ClassVar[int]
    HEAD_TIME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    first_ts: int
    head_ts: int
    head_time: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., first_ts: _Optional[int] = ..., head_ts: _Optional[int] = ..., head_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListNamespacesRequest(_message.Message):
    __slots__ = ("limit", "page_token")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    page_token: str
    def __init__(self, limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNamespacesResponse(_message.Message):
    __slots__ = ("namespaces", "next_page_token")
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, namespaces: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("published_ts", "last_commit_time", "open_transactions", "disk_used_bytes", "disk_free_bytes", "writes_refused", "durable", "store_id", "format_version", "sessions", "session_requests", "epoch", "epoch_began_ts", "principal", "archive", "cluster")
    PUBLISHED_TS_FIELD_NUMBER: _ClassVar[int]
    LAST_COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    OPEN_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    DISK_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITES_REFUSED_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    SESSION_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_BEGAN_TS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    published_ts: int
    last_commit_time: _timestamp_pb2.Timestamp
    open_transactions: int
    disk_used_bytes: int
    disk_free_bytes: int
    writes_refused: str
    durable: bool
    store_id: str
    format_version: int
    sessions: int
    session_requests: int
    epoch: str
    epoch_began_ts: int
    principal: str
    archive: ArchiveStatus
    cluster: ClusterStatus
    def __init__(self, published_ts: _Optional[int] = ..., last_commit_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., open_transactions: _Optional[int] = ..., disk_used_bytes: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., writes_refused: _Optional[str] = ..., durable: bool = ..., store_id: _Optional[str] = ..., format_version: _Optional[int] = ..., sessions: _Optional[int] = ..., session_requests: _Optional[int] = ..., epoch: _Optional[str] = ..., epoch_began_ts: _Optional[int] = ..., principal: _Optional[str] = ..., archive: _Optional[_Union[ArchiveStatus, _Mapping]] = ..., cluster: _Optional[_Union[ClusterStatus, _Mapping]] = ...) -> None: ...

class ClusterStatus(_message.Message):
    __slots__ = ("role", "id", "leader_id", "leader_address", "term", "applied_index", "committed_index", "lag", "members")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LEADER_ID_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    role: ClusterRole
    id: int
    leader_id: int
    leader_address: str
    term: int
    applied_index: int
    committed_index: int
    lag: _duration_pb2.Duration
    members: _containers.RepeatedCompositeFieldContainer[ClusterMember]
    def __init__(self, role: _Optional[_Union[ClusterRole, str]] = ..., id: _Optional[int] = ..., leader_id: _Optional[int] = ..., leader_address: _Optional[str] = ..., term: _Optional[int] = ..., applied_index: _Optional[int] = ..., committed_index: _Optional[int] = ..., lag: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., members: _Optional[_Iterable[_Union[ClusterMember, _Mapping]]] = ...) -> None: ...

class ClusterMember(_message.Message):
    __slots__ = ("id", "address", "learner", "match_index")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    MATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    id: int
    address: str
    learner: bool
    match_index: int
    def __init__(self, id: _Optional[int] = ..., address: _Optional[str] = ..., learner: bool = ..., match_index: _Optional[int] = ...) -> None: ...

class ArchiveStatus(_message.Message):
    __slots__ = ("archived_ts", "lag_commits", "lag", "error")
    ARCHIVED_TS_FIELD_NUMBER: _ClassVar[int]
    LAG_COMMITS_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    archived_ts: int
    lag_commits: int
    lag: _duration_pb2.Duration
    error: str
    def __init__(self, archived_ts: _Optional[int] = ..., lag_commits: _Optional[int] = ..., lag: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class SessionRequests(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SessionRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[SessionRequest, _Mapping]]] = ...) -> None: ...

class SessionRequest(_message.Message):
    __slots__ = ("id", "method", "request", "timeout_us", "cancel")
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_US_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    id: int
    method: str
    request: bytes
    timeout_us: int
    cancel: bool
    def __init__(self, id: _Optional[int] = ..., method: _Optional[str] = ..., request: _Optional[bytes] = ..., timeout_us: _Optional[int] = ..., cancel: bool = ...) -> None: ...

class SessionAnswers(_message.Message):
    __slots__ = ("answers", "window")
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[SessionAnswer]
    window: int
    def __init__(self, answers: _Optional[_Iterable[_Union[SessionAnswer, _Mapping]]] = ..., window: _Optional[int] = ...) -> None: ...

class SessionAnswer(_message.Message):
    __slots__ = ("id", "answer", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: int
    answer: bytes
    status: bytes
    def __init__(self, id: _Optional[int] = ..., answer: _Optional[bytes] = ..., status: _Optional[bytes] = ...) -> None: ...

class ListRefusalsRequest(_message.Message):
    __slots__ = ("namespace", "all", "conflicts", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    all: bool
    conflicts: bool
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., all: bool = ..., conflicts: bool = ..., limit: _Optional[int] = ...) -> None: ...

class ListRefusalsResponse(_message.Message):
    __slots__ = ("refusals", "since")
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    since: _timestamp_pb2.Timestamp
    def __init__(self, refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("namespace", "agent_id", "key", "lease", "principal", "method", "code", "limit", "count", "first_time", "last_time")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    agent_id: str
    key: str
    lease: str
    principal: str
    method: str
    code: ErrorCode
    limit: str
    count: int
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    def __init__(self, namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key: _Optional[str] = ..., lease: _Optional[str] = ..., principal: _Optional[str] = ..., method: _Optional[str] = ..., code: _Optional[_Union[ErrorCode, str]] = ..., limit: _Optional[str] = ..., count: _Optional[int] = ..., first_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListStreamsRequest(_message.Message):
    __slots__ = ("namespace", "all", "limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    all: bool
    limit: int
    def __init__(self, namespace: _Optional[str] = ..., all: bool = ..., limit: _Optional[int] = ...) -> None: ...

class ListStreamsResponse(_message.Message):
    __slots__ = ("streams", "total")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[OpenStream]
    total: int
    def __init__(self, streams: _Optional[_Iterable[_Union[OpenStream, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class OpenStream(_message.Message):
    __slots__ = ("kind", "namespace", "agent_id", "key_prefix", "lease", "due", "principal", "peer", "begin_time", "cursor", "lag")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    BEGIN_TIME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    kind: StreamKind
    namespace: str
    agent_id: str
    key_prefix: str
    lease: str
    due: bool
    principal: str
    peer: str
    begin_time: _timestamp_pb2.Timestamp
    cursor: int
    lag: int
    def __init__(self, kind: _Optional[_Union[StreamKind, str]] = ..., namespace: _Optional[str] = ..., agent_id: _Optional[str] = ..., key_prefix: _Optional[str] = ..., lease: _Optional[str] = ..., due: bool = ..., principal: _Optional[str] = ..., peer: _Optional[str] = ..., begin_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., cursor: _Optional[int] = ..., lag: _Optional[int] = ...) -> None: ...

class StatehouseError(_message.Message):
    __slots__ = ("code", "message", "details", "maybe_applied", "exact_code")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    MAYBE_APPLIED_FIELD_NUMBER: _ClassVar[int]
    EXACT_CODE_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    details: _containers.ScalarMap[str, str]
    maybe_applied: bool
    exact_code: ErrorCode
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., details: _Optional[_Mapping[str, str]] = ..., maybe_applied: bool = ..., exact_code: _Optional[_Union[ErrorCode, str]] = ...) -> None: ...
