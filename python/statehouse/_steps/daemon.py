"""Questions about the daemon itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import _arguments as check
from statehouse import errors
from statehouse._calls import Deadline
from statehouse._proto import statehouse_pb2 as pb
from statehouse._status import code_name
from statehouse._times import to_datetime
from statehouse.types import Build, OpenStream, Refusal, Status

if TYPE_CHECKING:
    from statehouse._calls import Caller
    from statehouse._effects import Steps

_KINDS = {
    pb.STREAM_KIND_WATCH: "watch",
    pb.STREAM_KIND_REPLAY: "replay",
    pb.STREAM_KIND_SESSION: "session",
}


class DaemonSteps:
    """Whether it serves, what build it is, how large its store is, what goes on in it."""

    _caller: Caller

    def _health(self) -> Steps[str]:
        deadline = Deadline(self._caller.options.timeout)
        response = yield from self._caller.attempt("Health", pb.HealthRequest(), deadline)
        if response.status != "ok":
            raise errors.ConnectionError(f"not serving: {response.status}", answered=True)
        return str(response.status)

    def _version(self) -> Steps[Build]:
        response = yield from self._caller.call("Version", pb.VersionRequest())
        return Build(response.version, response.git_sha)

    def _status(self) -> Steps[Status]:
        response = yield from self._caller.call("GetStatus", pb.GetStatusRequest())
        committed = response.HasField("last_commit_time")
        return Status(
            published_ts=response.published_ts,
            last_commit_time=to_datetime(response.last_commit_time) if committed else None,
            open_transactions=response.open_transactions,
            disk_used_bytes=response.disk_used_bytes,
            disk_free_bytes=response.disk_free_bytes,
            writes_refused=response.writes_refused,
            durable=response.durable,
            store_id=response.store_id,
            format_version=response.format_version,
            sessions=response.sessions,
            session_requests=response.session_requests,
            epoch=response.epoch,
            epoch_began_ts=response.epoch_began_ts,
        )

    def _list_refusals(
        self, conflicts: bool, limit: int | None, namespace: str | None, all_namespaces: bool
    ) -> Steps[list[Refusal]]:
        most = check.optional_count("limit", limit)
        if most == 0:
            return []
        request = pb.ListRefusalsRequest(
            namespace="" if all_namespaces else self._caller.namespace(namespace),
            all=check.flag("all_namespaces", all_namespaces),
            conflicts=check.flag("conflicts", conflicts),
            limit=min(most or 0, 2**32 - 1),
        )
        response = yield from self._caller.call("ListRefusals", request)
        return [
            Refusal(
                namespace=one.namespace,
                agent_id=one.agent_id,
                key=one.key,
                lease=one.lease,
                principal=one.principal,
                method=one.method,
                code=code_name(one.code),
                limit=one.limit,
                count=one.count,
                first_time=to_datetime(one.first_time),
                last_time=to_datetime(one.last_time),
            )
            for one in response.refusals
        ]

    def _list_streams(self, namespace: str | None, all_namespaces: bool) -> Steps[list[OpenStream]]:
        request = pb.ListStreamsRequest(
            namespace="" if all_namespaces else self._caller.namespace(namespace),
            all=check.flag("all_namespaces", all_namespaces),
        )
        response = yield from self._caller.call("ListStreams", request)
        return [
            OpenStream(
                kind=_KINDS.get(one.kind, ""),
                namespace=one.namespace,
                agent_id=one.agent_id,
                key_prefix=one.key_prefix,
                lease=one.lease,
                due=one.due,
                principal=one.principal,
                peer=one.peer,
                begin_time=to_datetime(one.begin_time),
                cursor=one.cursor,
                lag=one.lag,
            )
            for one in response.streams
        ]
