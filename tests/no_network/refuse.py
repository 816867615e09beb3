"""From its import on, this Python process reaches loopback addresses only. An audit hook cannot be removed again."""

import ipaddress
import socket
import sys


def _is_local(host):
    if isinstance(host, (bytes, bytearray)):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        used, address = args
        if used.family not in (socket.AF_INET, socket.AF_INET6) or address is None:
            return
        host = address[0]
    else:
        return
    if not _is_local(host):
        raise ConnectionRefusedError(f"the tests refuse the network: {event} to {host}")


sys.addaudithook(_refuse)
