"""A user, an assistant and its tools write into one conversation at once; the daemon is killed."""

import signal
import sys
import threading

from statehouse import Statehouse
from statehouse.testing import Daemon

AGENT = "chat-42"
MESSAGES = "message/"


def say(client: Statehouse, role: str, text: str, message_id: str) -> int:
    """Appends a message once, however often it is called for it, and answers its number."""
    record = client.append(
        AGENT, MESSAGES, {"role": role, "text": text}, metadata={"actor": role}, txn_id=message_id
    )
    return int(record.key.removeprefix(MESSAGES))


def talk(client: Statehouse, role: str, count: int) -> None:
    for n in range(count):
        say(client, role, f"{role} says {n}", f"{AGENT}-{role}-{n}")


def main() -> None:
    with Daemon(on_disk=True) as daemon:
        with daemon.client() as client:
            print("-- in turn")
            say(client, "user", "How many people live in Paris?", "m1")
            say(client, "assistant", "2.1 million.", "m2")

            print("-- three writers at once, and the daemon is killed meanwhile")
            roles = ("user", "assistant", "tool")
            writers = [threading.Thread(target=talk, args=(client, r, 20)) for r in roles]
            for writer in writers:
                writer.start()
            daemon.crash()
            daemon.restart()
            for writer in writers:
                writer.join()

            print("-- a program that is run again says nothing twice")
            assert say(client, "user", "How many people live in Paris?", "m1") == 1
            for role in roles:
                talk(client, role, 20)

        with daemon.client() as client:
            print("-- another process resumes the conversation")
            messages = list(client.scan_prefix(AGENT, MESSAGES))
            numbers = [int(message.key.removeprefix(MESSAGES)) for message in messages]
            assert numbers == list(range(1, 63)), numbers
            assert [m.value["text"] for m in messages[:2]] == [
                "How many people live in Paris?",
                "2.1 million.",
            ]
            for role in roles:
                said = [m.value["text"] for m in messages if m.value["text"].startswith(role)]
                assert said == [f"{role} says {n}" for n in range(20)], role
            last = list(client.scan_prefix(AGENT, MESSAGES, reverse=True, limit=3))
            print("   the last three, for a prompt:", [m.value["text"] for m in reversed(last)])

            print("-- it is replayed as it was said")
            told = [op.key for event in client.replay(AGENT) for op in event.operations]
            assert told == [message.key for message in messages]

            print("-- what was said last is taken back, and its number is not given again")
            client.delete(AGENT, messages[-1].key, metadata={"actor": "user", "reason": "a typo"})
            assert say(client, "user", "I mean London.", "m3") == 63
        print(f"{len(messages)} messages, each once, in one order")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in good order
    main()
