"""Sessions of the Google Agent Development Kit, with ``pip install "statehouse-sdk[google-adk]"``.

>>> from google.adk.runners import Runner
>>> from statehouse import Statehouse
>>> from statehouse.google_adk import StatehouseSessionService
>>> service = StatehouseSessionService(Statehouse("localhost:50051"))
>>> runner = Runner(app_name="app", agent=agent, session_service=service)

A session is an agent, ``adk/APP/USER/SESSION``: its events are the sequence ``event/``, its state
is under ``state/``, a key each. State of a user is in ``adk/APP/USER``, that of the app in
``adk/APP``, which also has the list of sessions. Each call is one commit.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from statehouse._adapters import items, names, needs
from statehouse._adapters.deleting import delete
from statehouse.errors import PreconditionFailed
from statehouse.filters import F
from statehouse.operations import Delete

try:
    import anyio.to_thread
    from google.adk.errors.already_exists_error import AlreadyExistsError
    from google.adk.events.event import Event
    from google.adk.sessions.base_session_service import (
        BaseSessionService,
        GetSessionConfig,
        ListSessionsResponse,
    )
    from google.adk.sessions.session import Session
    from google.adk.sessions.state import State
    from pydantic_core import to_json, to_jsonable_python
except ImportError as missing:
    raise needs("google-adk", missing) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from statehouse import Record, Statehouse, Txn

__all__ = ["SessionNotFound", "StaleSession", "StatehouseSessionService"]

try:
    from google.adk.errors._stale_session_error import StaleSessionError as _Stale
    from google.adk.errors.session_not_found_error import SessionNotFoundError as _NotFound
except ImportError:  # of an older version, in which services raise ValueError
    _Stale = _NotFound = ValueError  # type: ignore[misc, assignment]


class StaleSession(_Stale):
    """The session was changed since it was read; nothing was appended. Get it again. It is the
    ``StaleSessionError`` of versions that have one, and a ValueError in any case.
    """


class SessionNotFound(_NotFound):
    """There is no such session, or no more. It is the ``SessionNotFoundError`` of versions that
    have one, and a ValueError in any case.
    """


_EVENTS, _STATE, _SESSIONS = "event/", "state", "session/"
#: The session's own record; its state is under the same prefix, so that both are read at once.
_RECORD, _VALUES = _STATE, _STATE + "/"
#: Where newer versions of the kit keep what a store knows a session object by.
_MARKER = "_storage_update_marker"
logger = logging.getLogger("statehouse")


class StatehouseSessionService(BaseSessionService):
    """A session service of the Agent Development Kit.

    ``client``
        A blocking client; calls run in threads. Its namespace is where the sessions are.
    ``prefix``
        What the names of agents begin with.
    ``metadata``
        Stays with each commit: who did it, why…

    An event is appended to the session as it was read: of two who append to one, the second is
    refused with :class:`StaleSession`, and nothing of its event is stored. Keys of state that
    sessions share (``app:``, ``user:``) are written one by one, the last write counts.
    All methods raise what the client's raise, too: see :mod:`statehouse.errors`.
    """

    def __init__(
        self,
        client: Statehouse,
        *,
        prefix: str = "adk/",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._metadata = dict(metadata or {})

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Creates a session. Raises ``AlreadyExistsError`` when there is one of that id."""
        chosen = (session_id or "").strip() or str(uuid.uuid4())
        place = _Place(self._prefix, app_name, user_id, chosen)
        return await anyio.to_thread.run_sync(self._create, place, state or {})

    async def get_session(
        self,
        *,
        app_name: str,
        user_id: str,
        session_id: str,
        config: GetSessionConfig | None = None,
    ) -> Session | None:
        """Reads a session, as it was at one commit; None when there is none."""
        place = _Place(self._prefix, app_name, user_id, session_id.strip())
        return await anyio.to_thread.run_sync(self._get, place, config)

    async def list_sessions(
        self, *, app_name: str, user_id: str | None = None
    ) -> ListSessionsResponse:
        """Lists the sessions of a user, or of all, with their states and without their events: what
        was changed last comes last.
        """
        found = await anyio.to_thread.run_sync(self._list, app_name, user_id)
        return ListSessionsResponse(sessions=found)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Deletes a session, its events and state; what it shares with others stays."""
        place = _Place(self._prefix, app_name, user_id, session_id.strip())
        await anyio.to_thread.run_sync(self._delete, place)

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Reads the state that a user's sessions share, without ``user:`` in front of its keys."""
        place = _Place(self._prefix, app_name, user_id, "")
        return await anyio.to_thread.run_sync(self._state, place.user, None)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Appends an event, with the changes of state that it carries, and to the session object.

        Raises :class:`StaleSession` when the session was changed since it was read, and
        :class:`SessionNotFound`; then the object is as it was.
        """
        if event.partial:
            return event
        place = _Place(self._prefix, session.app_name, session.user_id, session.id)
        version = await anyio.to_thread.run_sync(self._append, place, session, event)
        event = await super().append_event(session=session, event=event)
        _mark(session, version, event.timestamp)
        return event

    def _create(self, place: _Place, state: dict[str, Any]) -> Session:
        now = time.time()
        changes = _Changes(place, state)

        def run(tx: Txn) -> None:
            # The condition is on the version, for what is read would have it tried again.
            record = {"id": place.id, "update": now, "last": None}
            tx.write(place.session, _RECORD, record, expected_version=0)
            listed = {"user": place.user_id, "id": place.id}
            tx.write(place.app, place.listed, listed)
            changes.stage(tx)

        try:
            items.commit(self._client, changes.packed, run, self._metadata)
        except PreconditionFailed as failed:
            if failed.key != _RECORD:
                raise
            raise AlreadyExistsError(f"Session with id {place.id} already exists.") from None
        created = self._get(place, None)
        if created is None:
            raise SessionNotFound(f"session {place.id} was deleted when it had been created")
        return created

    def _get(self, place: _Place, config: GetSessionConfig | None) -> Session | None:
        records = list(self._client.scan_prefix(place.session, _STATE))
        if not records or records[0].key != _RECORD:
            return None
        at = records[0].read_ts
        session = self._session(place, records, self._shared(place, at))
        session.events = self._events(place, config, at)
        return session

    def _session(self, place: _Place, records: list[Record], shared: dict[str, Any]) -> Session:
        state = {**self._values(place.session, records[1:]), **shared}
        session = Session(app_name=place.app_name, user_id=place.user_id, id=place.id, state=state)
        _mark(session, records[0].version, records[0].value["update"])
        return session

    def _shared(self, place: _Place, at: int) -> dict[str, Any]:
        """Reads the state of the app and of the user, with what is in front of their keys."""
        app, user = self._state(place.app, at), self._state(place.user, at)
        return {
            **{State.APP_PREFIX + key: value for key, value in app.items()},
            **{State.USER_PREFIX + key: value for key, value in user.items()},
        }

    def _state(self, agent_id: str, at: int | None) -> dict[str, Any]:
        records = list(self._client.scan_prefix(agent_id, _VALUES, as_of=at))
        return self._values(agent_id, records)

    def _values(self, agent_id: str, records: list[Record]) -> dict[str, Any]:
        values = items.unpack(self._client, agent_id, [record.value for record in records])
        return {record.value["key"]: value for record, value in zip(records, values)}

    def _events(self, place: _Place, config: GetSessionConfig | None, at: int) -> list[Event]:
        most = None if config is None else config.num_recent_events
        after = None if config is None else config.after_timestamp
        if most == 0:
            return []
        if after is None:
            records = self._client.scan_prefix(
                place.session, _EVENTS, reverse=most is not None, limit=most, as_of=at
            )
            values = [record.value for record in records]
            if most is not None:
                values.reverse()
        else:
            found = self._client.find(
                place.session, F("/timestamp") >= after, prefix=_EVENTS, as_of=at
            )
            values = [record.value for record in found][-(most or 0) :]
        events = items.unpack(self._client, place.session, values)
        return [Event.model_validate_json(json.dumps(event)) for event in events]

    def _list(self, app_name: str, user_id: str | None) -> list[Session]:
        app = _Place(self._prefix, app_name, user_id or "", "")
        prefix = _SESSIONS if user_id is None else app.listed
        found: list[Session] = []
        shared: dict[str, dict[str, Any]] = {}
        for listed in self._client.scan_prefix(app.app, prefix):
            place = _Place(self._prefix, app_name, listed.value["user"], listed.value["id"])
            at = listed.read_ts
            if place.user not in shared:
                shared[place.user] = self._shared(place, at)
            records = list(self._client.scan_prefix(place.session, _STATE, as_of=at))
            if records and records[0].key == _RECORD:
                found.append(self._session(place, records, shared[place.user]))
        return sorted(found, key=lambda one: (one.last_update_time, one.user_id, one.id))

    def _delete(self, place: _Place) -> None:
        if self._client.get_state(place.session, _RECORD) is None:
            return
        # Events first: as long as there are some to delete the session is there, and listed.
        prefixes = (_EVENTS, items.CHUNKS, _STATE)
        listed = Delete(place.app, place.listed)
        delete(self._client, place.session, prefixes, [listed], self._metadata)

    def _append(self, place: _Place, session: Session, event: Event) -> int:
        changes = _Changes(place, event.actions.state_delta if event.actions else {}, event)
        known = _marked(session)

        def run(tx: Txn) -> int:
            record = tx.get_state(place.session, _RECORD)
            if record is None:
                raise SessionNotFound(f"session {place.id} of {place.user_id} is not there")
            if record.value["last"] == event.id:
                return record.version  # an earlier try of this, whose answer never came
            fresh = _is_last(session, record) if known is None else record.version == known
            if not fresh:
                raise StaleSession(
                    "the session has been modified in storage since it was read: get it again"
                )
            value = {**record.value, "update": event.timestamp, "last": event.id}
            tx.write(place.session, _RECORD, value)
            changes.stage(tx)
            return record.version + 1

        return items.commit(self._client, changes.packed, run, self._metadata)


class _Place:
    """Where a session is, and what it shares with others."""

    def __init__(self, prefix: str, app_name: str, user_id: str, session_id: str) -> None:
        self.app_name, self.user_id, self.id = app_name, user_id, session_id
        self.app = names.agent(prefix, app_name)
        self.user = names.agent(prefix, app_name, user_id)
        self.session = names.agent(prefix, app_name, user_id, session_id)
        self.listed = f"{_SESSIONS}{names.part(user_id)}/{names.part(session_id)}"

    def owner(self, key: str) -> tuple[str, str] | None:
        """Says which agent has a key of state, and what it is called there; None: nobody."""
        if key.startswith(State.TEMP_PREFIX):
            return None
        for prefix, agent in ((State.APP_PREFIX, self.app), (State.USER_PREFIX, self.user)):
            if key.startswith(prefix):
                return agent, key[len(prefix) :]
        return self.session, key


class _Changes:
    """Changes of state, and an event, ready to be written."""

    def __init__(self, place: _Place, state: Mapping[str, Any], event: Event | None = None) -> None:
        owned = {key: owner for key in state if (owner := place.owner(key)) is not None}
        values = [to_jsonable_python(state[key], fallback=_as_text) for key in owned]
        contents = [*values, *([] if event is None else [_stored(event)])]
        packed = items.pack_all(contents)
        self._place, self._timestamp = place, None if event is None else event.timestamp
        self._event = None if event is None else packed.pop()
        self._state = list(zip(owned.values(), packed))
        self.packed: dict[str, list[items.Packed]] = {}
        for (agent, _), one in self._state:
            self.packed.setdefault(agent, []).append(one)
        if self._event is not None:
            self.packed.setdefault(place.session, []).append(self._event)

    def stage(self, tx: Txn) -> None:
        for (agent, key), one in self._state:
            tx.write(agent, _VALUES + names.part(key), {**one.value, "key": key})
        if self._event is not None:
            value = {**self._event.value, "timestamp": self._timestamp}
            tx.append(self._place.session, _EVENTS, value)


def _stored(event: Event) -> Any:
    """Makes JSON of an event, without what is of an invocation only."""
    stored: dict[str, Any] = json.loads(
        to_json(event, by_alias=False, exclude_none=True, fallback=_as_text)
    )
    delta = stored.get("actions", {}).get("state_delta", {})
    for key in [key for key in delta if key.startswith(State.TEMP_PREFIX)]:
        del delta[key]
    return stored


def _as_text(value: Any) -> str:
    """Stands for what is no JSON, as in the services of the kit."""
    logger.warning("%s is no JSON, and is stored as its text", type(value).__name__)
    return str(value)


def _mark(session: Session, version: int, update: float) -> None:
    """Notes which state of the store a session object is."""
    session.last_update_time = update
    if _MARKER in Session.__private_attributes__:
        setattr(session, _MARKER, str(version))


def _marked(session: Session) -> int | None:
    marker = getattr(session, _MARKER, None)
    return int(marker) if isinstance(marker, str) and marker.isdigit() else None


def _is_last(session: Session, record: Record) -> bool:
    """Reports whether an object without a mark, of an older version, has what the store has."""
    if session.events:
        return bool(session.events[-1].id == record.value["last"])
    return bool(session.last_update_time == record.value["update"])
