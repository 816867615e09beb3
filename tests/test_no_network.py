"""The tests refuse the network in this process, in processes they start, and in notebook kernels."""

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request

import nbformat
import pytest
from nbclient import NotebookClient

# An address that belongs to nobody (RFC 5737), should the refusal ever fail.
ATTEMPT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=0.1)"


@pytest.mark.parametrize("attempt", [
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.1),
    lambda: socket.create_connection(("2001:db8::1", 80), timeout=0.1),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.gethostbyname("example.org"),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
    lambda: asyncio.run(asyncio.open_connection("192.0.2.1", 80)),
    lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=0.1),
])
def test_this_process_is_refused(attempt):
    with pytest.raises(OSError, match="the tests refuse the network"):
        attempt()


def test_loopback_answers():
    with socket.create_server(("localhost", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_started_python_is_refused():
    done = subprocess.run([sys.executable, "-c", ATTEMPT], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ConnectionRefusedError: the tests refuse the network: socket.getaddrinfo to 192.0.2.1" in done.stderr


def test_notebook_kernel_is_refused():
    cell = nbformat.v4.new_code_cell(f"try:\n    {ATTEMPT}\nexcept OSError as error:\n    print(error)")
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3", timeout=60).execute()
    assert cell.outputs[0].text.startswith("the tests refuse the network")


def test_hugging_face_hub_is_told():
    assert os.environ["HF_HUB_OFFLINE"] == "1"
