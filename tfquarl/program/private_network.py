"""A network of its own for the processes of a run, since Reverb's server can't be told which interface to listen on.

Linux gives a process a network namespace: it has a loopback interface and nothing else, which its children share and nobody outside can
reach. Where the user is not root, a user namespace in which he stays who he is allows that.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import socket
import struct

from tfquarl.core import errors

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_FLAGS_REQUEST = struct.Struct("16sH14x")  # struct ifreq: a name and its flags
_FIRST_TO_END = "1000"  # of the range of Linux's out-of-memory killer, which takes the highest first
_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOSPC)

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERY_INTERFACE = ("0.0.0.0", "::")


def wants_loopback(bind_address: str) -> bool:
    """Whether the servers of a run are to be reached from its own processes alone.

    Raises:
      ConfigError: neither that nor every interface, the two things that can be had.
    """
    if bind_address not in (*LOOPBACK, *EVERY_INTERFACE):
        raise errors.ConfigError(
            f"--bind_address is '{bind_address}', needs one of {', '.join((*LOOPBACK, *EVERY_INTERFACE))}: Reverb's server listens on"
            " every interface that it sees, so tfquarl can only show it all of them or the loopback alone"
        )
    return bind_address in LOOPBACK


def enter() -> bool:
    """Gives this process a network with a loopback interface alone; whether the system allowed it.

    For a process with one thread; those that it forks from then on share the network. There is no way back.

    Raises:
      OSError: the new network has no working loopback interface.
    """
    user, group = os.getuid(), os.getgid()
    if not _unshare(_CLONE_NEWNET):
        if not _unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
            return False
        _stay_who_one_is(user, group)
    _set_up_loopback()
    return True


def is_shared_with(pid: int) -> bool:
    """Whether the process `pid` sees the same network as this one; True where it can't be told.

    Raises:
      FileNotFoundError: it has ended.
    """
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except PermissionError:
        return True


def yield_memory_if_shared(pid: int) -> bool:
    """Has the kernel end this process first when memory runs out, if the process `pid` sees the same network; whether it does.

    For a server that others can reach: nothing bounds what they send to it, and the machine and the rest of the run shall not pay.
    """
    try:
        if not is_shared_with(pid):
            return False
        pathlib.Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END)
    except OSError:
        return False  # the process has gone, or the system doesn't allow it
    return True


def _unshare(kinds: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kinds) == 0:
        return True
    number = ctypes.get_errno()
    if number in _REFUSALS:
        return False
    raise OSError(number, os.strerror(number))


def _stay_who_one_is(user: int, group: int) -> None:
    """Names the user of the new user namespace as outside, so that files are read and written as before."""
    own = pathlib.Path("/proc/self")
    with contextlib.suppress(FileNotFoundError):  # kernels before 3.19
        (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")


def _set_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = _FLAGS_REQUEST.pack(b"lo", 0)
        _, flags = _FLAGS_REQUEST.unpack(fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _FLAGS_REQUEST.pack(b"lo", flags | _IFF_UP))
