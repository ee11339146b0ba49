"""What the agents of the frameworks do: steps, with an effect each, under an id each."""

import os

from statehouse import Statehouse

RUN = "run-7"
STEPS = 5


def say(text: str) -> None:
    """Says a line whole, whichever threads speak at once, so that whoever kills hears it."""
    os.write(1, f"{text}\n".encode())


def take(client: Statehouse, step: int) -> str:
    """Takes a step once, however often it is called: a tool that is called under the same id
    again, after a crash, has no second effect. Other systems that take orders want such an id, too.
    """
    say(f"calling {step}")
    client.append(RUN, "step/", {"step": step}, txn_id=f"{RUN}-step-{step}")
    say(f"called {step}")
    return f"step {step} is taken"


def kept(count: int) -> None:
    """Says that the session has the results of so many steps."""
    if count:
        say(f"kept {count}")
