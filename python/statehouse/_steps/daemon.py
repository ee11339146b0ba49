"""Questions about the daemon itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse import errors
from statehouse._calls import Deadline
from statehouse._proto import statehouse_pb2 as pb
from statehouse._times import to_datetime
from statehouse.types import Build, Status

if TYPE_CHECKING:
    from statehouse._calls import Caller
    from statehouse._effects import Steps


class DaemonSteps:
    """Whether it serves, what build it is, how large its store is."""

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
