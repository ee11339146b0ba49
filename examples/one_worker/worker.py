"""A worker of a session: python worker.py NAME [SECONDS TO WAIT]

Each line on its standard input is a step of the work, which it writes under its lease.
"""

import sys

from statehouse import LeaseHeld, LeaseLost, Statehouse

SESSION = "session-7"


def main() -> int:
    name, *wait = sys.argv[1:]
    seconds = float(wait[0]) if wait else 0
    with Statehouse() as client:
        try:
            with client.lease(SESSION, "worker", ttl=3, wait=seconds, holder=name) as lease:
                print(f"{name}: I have the session", flush=True)
                for line in sys.stdin:
                    step = client.append(
                        SESSION,
                        "step/",
                        {"did": line.strip(), "token": lease.token},
                        metadata={"actor": name},
                        leases=[lease],  # refused when another has the session by now
                    )
                    print(f"{name}: {line.strip()}: {step.key}", flush=True)
        except LeaseHeld as held:
            print(f"{name}: refused, for {held.holder} has the session")
            return 1
        except LeaseLost:
            print(f"{name}: refused, for I had lost the session; I stop")
            return 2
    print(f"{name}: done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
