"""What a process gives up before it runs a stranger's code: namespaces, capabilities, system calls, resources.

bubblewrap has already taken away the file system and the network. These calls go to the kernel directly, from a process
that was forked a moment ago: they separate one submission from the next. Linux on x86-64 and 64-bit ARM only.
"""

import ctypes
import errno
import os
import platform
import resource
import struct

NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
NOSUID, NODEV, NOEXEC, PRIVATE, RECURSIVE = 2, 4, 8, 1 << 18, 1 << 14
NO_NEW_PRIVS, SECCOMP, DROP_BOUND = 38, 22, 24  # of prctl
EMPTY_HOME = b"size=64m,nr_inodes=4096,mode=0700"

# Debugging others, keys, namespaces, mounts, other ways to files, the kernel itself, memory that no limit counts.
DENIED = {
    "x86_64": (101, 310, 311, 312, 438, 440, 248, 249, 250, 272, 308, 161, 155, 165, 166, 428, 429, 430, 431, 432, 433,
               442, 303, 304, 321, 298, 323, 425, 426, 427, 246, 320, 175, 313, 176, 169, 167, 168, 163, 179, 443, 103,
               164, 227, 305, 159, 319, 447, 29, 64, 68, 240, 300, 278, 135, 172, 173, 154, 153, 237, 238, 256, 279),
    "aarch64": (117, 270, 271, 272, 438, 440, 217, 218, 219, 97, 268, 51, 41, 40, 39, 428, 429, 430, 431, 432, 433,
                442, 264, 265, 280, 241, 282, 425, 426, 427, 104, 294, 105, 273, 106, 142, 224, 225, 89, 60, 443, 116,
                170, 112, 266, 171, 279, 447, 194, 190, 186, 180, 262, 75, 92, 58, 235, 237, 238, 239),
}
CLONE, SOCKET, IOCTL = {"x86_64": 56, "aarch64": 220}, {"x86_64": 41, "aarch64": 198}, {"x86_64": 16, "aarch64": 29}
CLONE3 = 435
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000  # on x86-64, the numbers of a second set of the same calls
PUSH_INPUT, SELECT_INPUT = 0x5412, 0x541C  # the ioctls that type into a terminal (TIOCSTI, TIOCLINUX)

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    """A function of the C library; raises OSError where it fails."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(kind, target, options, flags=NOSUID | NODEV):
    call("mount", kind, target, kind, ctypes.c_ulong(flags), options)


def own_namespaces():
    """Leave the other processes' view: the next fork is process 1 of its own."""
    call("unshare", NEWPID | NEWNS | NEWIPC | NEWUTS | NEWCGROUP)


def own_files():
    """A /proc that shows the own processes alone, and an empty home, /tmp and /dev/shm of limited size; all else is
    read-only already."""
    call("mount", None, b"/", None, ctypes.c_ulong(PRIVATE | RECURSIVE), None)
    mount(b"proc", b"/proc", None, NOSUID | NODEV | NOEXEC)
    for folder in (b"/tmp", b"/dev/shm"):
        mount(b"tmpfs", folder, EMPTY_HOME)


def drop_privileges():
    """No capability is left and none can come back; the kernel answers the calls of `DENIED` with "not permitted"."""
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        if libc.prctl(DROP_BOUND, capability, 0, 0, 0):
            break  # beyond the last one that this kernel knows, or there is none to drop
    header = struct.pack("Ii", 0x20080522, 0)
    call("capset", header, bytes(24))
    program = seccomp_filter(platform.machine())
    buffer = ctypes.create_string_buffer(program)
    pointer = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    call("prctl", SECCOMP, 2, pointer, 0, 0)


def limit(data, processes):
    """Resource limits of each process: bytes of `data` beyond what is in use, and the number of processes."""
    used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
    for name, most in {"DATA": used + data, "NPROC": processes, "NOFILE": 128, "FSIZE": 64 * 2**20, "CORE": 0,
                       "MEMLOCK": 2**20, "MSGQUEUE": 0, "RTPRIO": 0, "SIGPENDING": 256}.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def seccomp_filter(machine):
    """The filter as the kernel's little programs: every call but the denied ones is allowed.

    `clone` may not make namespaces and `clone3`, whose arguments a filter cannot see, "does not exist", so that the C
    library takes `clone`. `socket` is for AF_UNIX alone (multiprocessing needs it; there is nobody to talk to).
    """
    if machine not in DENIED:
        raise ValueError(f"the box knows the system calls of {' and '.join(DENIED)}, this machine is {machine}")
    load, equal, above, has, give = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: ld abs, jeq, jge, jset, ret
    allow, kill, no, missing = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    number, architecture, first, second = 0, 4, 16, 24  # offsets in seccomp_data
    steps = [(load, 0, 0, architecture), (equal, 1, 0, ARCHITECTURE[machine]), (give, 0, 0, kill),
             (load, 0, 0, number)]
    if machine == "x86_64":
        steps += [(above, 0, 1, X32), (give, 0, 0, kill)]
    for denied in DENIED[machine]:
        steps += [(equal, 0, 1, denied), (give, 0, 0, no)]
    steps += [(equal, 0, 1, CLONE3), (give, 0, 0, missing)]
    namespaces = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
    steps += [(equal, 0, 4, CLONE[machine]), (load, 0, 0, first), (has, 0, 1, namespaces), (give, 0, 0, no),
              (give, 0, 0, allow)]
    steps += [(equal, 0, 4, SOCKET[machine]), (load, 0, 0, first), (equal, 1, 0, 1), (give, 0, 0, no),
              (give, 0, 0, allow)]
    steps += [(equal, 0, 4, IOCTL[machine]), (load, 0, 0, second), (equal, 1, 0, PUSH_INPUT),
              (equal, 0, 1, SELECT_INPUT), (give, 0, 0, no)]
    steps += [(give, 0, 0, allow)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
