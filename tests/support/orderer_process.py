"""A real orderer process on loopback, with TLS, for tests."""

import ipaddress
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import yaml
from cryptography import x509

from tests.support.ordering import SmallNetwork
from tests.support.pki import key_pem
from tongban.node.runtime.dialing import Dialer

START_SECONDS_MAX = 30.0


def free_port() -> int:
    """A port that was free a moment ago; for nodes that must come back on the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OrdererProcess:
    """Start it, stop it, kill it, and start it again on the same data and port."""

    def __init__(self, directory: Path, network: SmallNetwork, **settings: object) -> None:
        self.network = network
        self.directory = directory
        self.address = f"localhost:{free_port()}"
        self.operations = ""
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._is_ready = False
        self._write(settings)

    @property
    def dialer(self) -> Dialer:
        return Dialer(lambda: self.network.orderer_org.tls_ca.pem)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when the orderer is ready; fails with its log if it is not."""
        self._ready.clear()
        self._is_ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tongban.node.orderer", "--config", self._config],
            stderr=subprocess.PIPE,
            text=True,
        )
        reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        reader.start()
        if not self._ready.wait(START_SECONDS_MAX) or not self._is_ready:
            raise AssertionError("the orderer did not start:\n" + "\n".join(self.lines))

    def run_to_end(self) -> tuple[int, str]:
        """Run in the foreground what is expected to refuse, and return status and output."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tongban.node.orderer", "--config", self._config],
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_SECONDS_MAX,
            check=False,
        )
        return done.returncode, done.stderr

    def stop(self) -> int:
        """Ask it to stop, and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would, but for the page cache."""
        self._end(signal.SIGKILL)

    def wait_for_end(self) -> int:
        """Its exit status, when it ends by itself."""
        assert self._process is not None
        status = self._process.wait(timeout=15)
        self._process = None
        return status

    def limit_file_bytes(self, size: int) -> None:
        """From now on no file of it grows beyond ``size``, as if the disk were full."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, size))

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        os.kill(self._process.pid, number)
        status = self._process.wait(timeout=15)
        assert self._process.stderr is not None
        self._process = None
        return status

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.lines.append(line.rstrip())
                if " ready listen=" in line:
                    self.operations = line.split("operations=")[1].split()[0]
                    self._is_ready = True
                    self._ready.set()
        self._ready.set()

    @property
    def _config(self) -> str:
        return str(self.directory / "orderer.yaml")

    def _write(self, settings: dict[str, object]) -> None:
        org, orderer = self.network.orderer_org, self.network.orderer
        org.write_directory(self.directory / "msp", orderer)
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        tls = org.tls_ca.issue(org.mspid, "localhost", extensions=[(names, False)])
        (self.directory / "tls.pem").write_bytes(tls.pem)
        (self.directory / "tls.key").write_bytes(key_pem(tls.key))
        (self.directory / "genesis.block").write_bytes(self.network.genesis_bytes)
        document = {
            "format": 1,
            "listen": self.address,
            "tls": {"certificate": "tls.pem", "key": "tls.key"},
            "msp": {"id": org.mspid, "directory": "msp"},
            "data": "data",
            "channels": ["genesis.block"],
            "operations": {"listen": "127.0.0.1:0"},
            **settings,
        }
        (self.directory / "orderer.yaml").write_text(yaml.safe_dump(document))
