"""Where the processes of one start meet, and none of an earlier one."""

import time
import uuid

from torch.distributed import PrefixStore, Store

_LOOK_AGAIN = 0.05  # s


def fresh(store: Store, rank: int, world: int) -> Store:
    """Return a part of `store` that is empty, and the same for all processes of this start.

    `torchrun --max-restarts` gives all starts one store (torch 2.11 to 2.15), in which the first
    start's addresses still stand. A process that reads one of those before it is replaced waits for
    a peer that is gone; where a loader's orphan still holds that port, for ever.

    So the first process draws a name, and tells it to whom has just asked: each of the others signs
    in under a word of its own and waits for the answer to that word.
    """
    if rank:
        word = uuid.uuid4().hex
        store.set(f"start/asks/{rank}", word)
        name = store.get(f"start/answer/{word}").decode()
        store.set(f"{name}/here/{rank}", "")
        return PrefixStore(name, store)
    name = uuid.uuid4().hex
    missing = set(range(1, world))
    while missing:
        for other in missing:
            if store.check([f"start/asks/{other}"]):
                word = store.get(f"start/asks/{other}").decode()
                store.set(f"start/answer/{word}", name)
        missing = {other for other in missing if not store.check([f"{name}/here/{other}"])}
        time.sleep(_LOOK_AGAIN if missing else 0)
    return PrefixStore(name, store)
