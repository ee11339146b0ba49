"""Deletes of whole sessions, however many keys they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statehouse.errors import EvaluationFailed, ResourceExhausted
from statehouse.operations import AnyOperation, Delete, DeletePrefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from statehouse import Statehouse

#: Keys of one commit. The daemon takes 5,000, unless its operator says otherwise.
_KEYS = 2000


def delete(
    client: Statehouse,
    agent_id: str,
    prefixes: Iterable[str],
    others: Iterable[AnyOperation] = (),
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Deletes what an agent has under prefixes, and does others, such as taking it off a list.

    It is one commit, unless there are more keys than that may change. Then what was written last
    goes first, in several commits, and the others come with the last of them: so whoever reads
    meanwhile sees an earlier state, and what is cut off halfway is still on the list.
    """
    prefixes = list(prefixes)
    operations = [*(DeletePrefix(agent_id, prefix) for prefix in prefixes), *others]
    while True:
        try:
            client.transact(operations, metadata=metadata)
            return
        except (EvaluationFailed, ResourceExhausted):
            # The first that has keys, each time, for one may depend on the next.
            if not any(_thin(client, agent_id, prefix, metadata) for prefix in prefixes):
                raise  # it is not for the number of keys


def _thin(
    client: Statehouse, agent_id: str, prefix: str, metadata: Mapping[str, str] | None
) -> bool:
    """Deletes the last keys under a prefix, and reports whether there were any."""
    keys = client.list_keys(agent_id, prefix, reverse=True, limit=_KEYS)
    if keys:
        client.transact([Delete(agent_id, key) for key in keys], metadata=metadata)
    return bool(keys)
