"""A person's terminal:

    python person.py NAME                      lists what waits for a decision
    python person.py NAME approve|deny REQUEST decides

A decision is made about what the person has seen: when somebody else has decided since,
it is refused.
"""

import sys

from statehouse import PreconditionFailed, Record, Statehouse

AGENT = "deployer"
DECISIONS = {"approve": "approved", "deny": "denied"}


def main() -> int:
    name, *what = sys.argv[1:]
    with Statehouse() as client:
        if not what:
            for record in client.scan_prefix(AGENT, "request/"):
                if record.value["state"] == "pending":
                    print(f"{record.key[8:]}: {record.value['action']}")
            return 0
        decision, request = what
        record = client.get_state(AGENT, f"request/{request}")
        if record is None:
            print(f"{name}: there is no request {request}")
            return 2
        if record.value["state"] != "pending":
            return refused(name, record)
        print(f"{name} looks at: {record.value['action']}", flush=True)
        input()  # and thinks; meanwhile others may decide
        try:
            client.write(
                AGENT,
                record.key,
                {**record.value, "state": DECISIONS[decision], "by": name},
                expected_version=record.version,
                metadata={"actor": name},
            )
        except PreconditionFailed:
            return refused(name, client.get_state(AGENT, record.key))
        print(f"{name}: {DECISIONS[decision]}")
        return 0


def refused(name: str, record: Record) -> int:
    print(f"{name}: refused, for {record.value['by']} has {record.value['state']} it")
    return 1


if __name__ == "__main__":
    sys.exit(main())
