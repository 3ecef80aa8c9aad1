"""The network interface through which the nodes of a run reach each other."""

import fcntl
import os
import socket
import struct
import sys

import torch.distributed as dist

from foundation.errors import UserError

_CHOICE = "GLOO_SOCKET_IFNAME"
_SIOCGIFADDR = 0x8915  # <linux/sockios.h>


def choose_interface(store: dist.Store, rank: int, world: int) -> None:
    """Let gloo use the interface that leads to the first node, unless the user has named one.

    By itself it takes the one that this host's name means, which on Debian and Ubuntu is the
    loopback: other nodes then wait in vain. NCCL chooses well by itself (NCCL_SOCKET_IFNAME).

    Args:
        store: that all processes have.
        rank: of this process.
        world: number of processes.

    Raises:
        UserError: there are several interfaces to choose from, or none.
    """
    if _CHOICE in os.environ or world == int(os.environ.get("LOCAL_WORLD_SIZE", world)):
        return
    host = socket.gethostname()
    store.set(f"host/{rank}", host)
    alone = {store.get(f"host/{other}").decode() for other in range(world)} == {host}
    found = interfaces()
    own = _address_towards(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    [name] = [name for name, address in found.items() if address == own][:1] or [""]
    if not alone and own.startswith("127."):
        # The first node, whose name means its loopback: which way the others come is not known.
        name = _only_way_out(host, found)
    if name:
        os.environ[_CHOICE] = name
        if rank % int(os.environ["LOCAL_WORLD_SIZE"]) == 0 and not own.startswith("127."):
            print(f"{host}: network {name} ({found[name]})", file=sys.stderr, flush=True)


def interfaces() -> dict[str, str]:
    """Return the IPv4 address of each network interface that has one."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has none
                continue
            found[name] = socket.inet_ntoa(answer[20:24])
    return found


def _address_towards(host: str, port: int) -> str:
    """Return this host's address on the way to another; nothing is sent. '' if there is no way."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            route.connect((host, port))
            return route.getsockname()[0]
    except OSError:
        return ""


def _only_way_out(host: str, found: dict[str, str]) -> str:
    ways = {
        name: address
        for name, address in found.items()
        if not address.startswith("127.")
        and not name.startswith(("docker", "veth", "br-", "virbr"))
    }
    if len(ways) == 1:
        return next(iter(ways))
    known = (
        ", ".join(f"{name} ({address})" for name, address in ways.items()) or "none but loopback"
    )
    raise UserError(
        f"{host}: its name means its own loopback, and it cannot be told through which network the "
        f"other nodes reach it; set {_CHOICE} on it (it has {known}), or give torchrun "
        f"--rdzv-endpoint and --local-addr an address"
    )
