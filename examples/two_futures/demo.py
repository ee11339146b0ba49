"""An agent that plans a trip decides to fly. What if it had taken the train?"""

import signal
import sys

from statehouse import Statehouse
from statehouse.testing import Daemon


def plan_until_the_decision(client: Statehouse, agent: str) -> int:
    """Works up to the decision, and answers the commit that it was made at."""
    client.write(agent, "goal", {"to": "Vienna", "by": "Friday"})
    client.write(agent, "budget", {"left": 500})
    found = {"plane": {"price": 260, "hours": 2}, "train": {"price": 90, "hours": 11}}
    return client.write(agent, "offers", found, metadata={"actor": "search"}).commit_ts


def go_on(client: Statehouse, agent: str, by: str) -> None:
    """Takes a decision and its consequences, all in one commit."""
    offer = client.get_state(agent, "offers").value[by]
    with client.begin_transaction(metadata={"actor": "planner", "reason": f"by {by}"}) as tx:
        tx.write(agent, "decision", {"by": by})
        tx.increment(agent, "budget", "/left", -offer["price"], minimum=0)
        tx.append(agent, "step/", {"book": by, "hours": offer["hours"]})
        if by == "train":
            tx.append(agent, "step/", {"book": "a bed for the night on the way"})
            tx.increment(agent, "budget", "/left", -70, minimum=0)


def main() -> None:
    with Daemon(on_disk=True) as daemon, daemon.client() as client:
        decision = plan_until_the_decision(client, "trip")
        go_on(client, "trip", "plane")
        print(
            f"trip has decided after commit {decision}:", client.get_state("trip", "decision").value
        )

        print("-- fork it where it had not decided yet")
        client.fork("trip", "trip-by-train", at=decision, metadata={"why": "what if?"})
        assert client.get_state("trip-by-train", "decision") is None
        goal = client.get_state("trip-by-train", "goal")
        print(f"trip-by-train begins with {client.list_keys('trip-by-train')}")
        assert goal.version == client.get_state("trip", "goal").version

        print("-- let the other future happen")
        go_on(client, "trip-by-train", "train")

        print("-- compare both")
        changed = {}
        for key in client.diff("trip", "trip-by-train"):
            changed[key.key] = key
            here = key.before and key.before.value
            there = key.after and key.after.value
            print(f"   {key.key:21} {here}  |  {there}")
        assert list(changed) == [
            "budget",
            "decision",
            "step/0000000000000001",
            "step/0000000000000002",
        ], list(changed)
        assert changed["budget"].patch == [{"op": "replace", "path": "/left", "value": 340}]
        assert changed["step/0000000000000002"].before is None

        print("-- where it comes from")
        origin = client.get_agent("trip-by-train").forked_from
        print(f"   from {origin.agent_id}, as it was after commit {origin.commit_ts}")
        assert (origin.agent_id, origin.commit_ts) == ("trip", decision)
        for event in client.replay("trip-by-train", all_operations=True, with_lineage=True):
            for op in event.operations:
                said = f"{op.act.kind} from {op.act.agent_id}" if op.act else op.key
                print(f"   {event.commit_ts:2} {op.agent_id:14} {said}")

        print("-- the train it is: the trip gets that state, and nothing is lost")
        for key in client.diff("trip", "trip-by-train"):
            client.write(
                "trip", key.key, key.after.value, metadata={"reason": "by train after all"}
            )
        assert list(client.diff("trip", "trip-by-train")) == []
        versions = [entry.value for entry in client.history("trip", "decision")]
        print("   decisions of trip, newest first:", versions)
        assert versions == [{"by": "train"}, {"by": "plane"}]
    print("two futures of one agent, compared key by key")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
