"""An agent that asks before it acts: python agent.py REQUEST "what it wants to do"

It writes its request, and waits by watch for a decision, which may take days: killed and
started again it goes on waiting for the same one. It acts on the decision at most once.
"""

import sys

from statehouse import PreconditionFailed, Statehouse

AGENT = "deployer"


def main() -> None:
    request, action = sys.argv[1:]
    key = f"request/{request}"
    with Statehouse() as client:
        try:
            client.write(
                AGENT,
                key,
                {"action": action, "state": "pending"},
                expected_version=0,
                metadata={"actor": AGENT, "reason": "needs a person's approval"},
            )
            print(f"agent: may I {action}?", flush=True)
        except PreconditionFailed:
            print("agent: I have asked already, and go on waiting", flush=True)
        decision = wait(client, key)
        print(f"agent: {decision['by']} says {decision['state']}", flush=True)
        if decision["state"] == "approved":
            act(client, request, action)


def act(client: Statehouse, request: str, action: str) -> None:
    """Commits that it acts before it does: killed in between it does not act again."""
    try:
        client.write(
            AGENT,
            f"acted/{request}",
            {"action": action},
            expected_version=0,
            metadata={"actor": AGENT},
        )
    except PreconditionFailed:
        print("agent: that I have done", flush=True)
    else:
        print(f"agent: I {action}", flush=True)


def wait(client: Statehouse, key: str) -> dict:
    """Waits until the request is decided. Watches from the commit of what it has read, so
    that no decision falls between reading and watching.
    """
    record = client.get_state(AGENT, key)
    if record.value["state"] != "pending":
        return record.value
    for event in client.watch(AGENT, prefix=key, after=record.commit_ts):
        for op in event.operations:
            if op.key == key and op.value["state"] != "pending":
                return op.value
    raise AssertionError("a watch does not end")


if __name__ == "__main__":
    main()
