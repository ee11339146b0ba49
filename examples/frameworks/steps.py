"""What the agents of the frameworks do: steps, with an effect each, under an id each."""

from statehouse import Statehouse

RUN = "run-7"
STEPS = 5


def take(client: Statehouse, step: int) -> str:
    """Takes a step once, however often it is called: a tool that is called under the same id
    again, after a crash, has no second effect. Other systems that take orders want such an id, too.
    """
    print(f"calling {step}", flush=True)
    client.append(RUN, "step/", {"step": step}, txn_id=f"{RUN}-step-{step}")
    print(f"called {step}", flush=True)
    return f"step {step} is taken"


def kept(count: int) -> None:
    """Says that the session has the results of so many steps."""
    if count:
        print(f"kept {count}", flush=True)
