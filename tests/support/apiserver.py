"""A real Kubernetes API server without a cluster: etcd, kube-apiserver and the controllers behind Jobs.

There are no nodes. Pods stay pending until a test sets their status as the kubelet would (see :mod:`support.jobs`).
"""

from __future__ import annotations

import secrets
from base64 import encodebytes
from collections.abc import Sequence
from pathlib import Path

from generate.crd import custom_resource_definition
from support.client import ApiRefused, Client, Credentials
from support.processes import Process, ProcessEnded, free_port, program, wait_until

#: The controllers that tests need: those of Jobs, of Deployments and of deletion.
CONTROLLERS = (
    "job-controller",
    "cronjob-controller",
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "ttl-after-finished-controller",
)
_ATTEMPTS = 3


class ApiServer:
    """etcd, kube-apiserver and kube-controller-manager as processes on the loopback interface.

    Parameters
    ----------
    folder
        An empty folder for data, certificates, logs and kubeconfigs.
    controllers
        Controllers of kube-controller-manager that run.
    arguments
        Further arguments of kube-apiserver.

    Attributes
    ----------
    url : str
        URL that it listens on.
    token : str
        Bearer token of an administrator.
    kubeconfig : Path
        Kubeconfig of the administrator.
    client : Client
        Client with administrator rights.
    pids : dict of str to int
        Process ID of each program, as first started.
    """

    def __init__(
        self, folder: Path, *, controllers: Sequence[str] = CONTROLLERS, arguments: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._controllers = controllers
        self._arguments = arguments
        self.token = secrets.token_hex(16)
        self.pids: dict[str, int] = {}
        self._processes: list[Process] = []
        try:
            self._start()
        except BaseException:  # never leave processes running
            self.stop()
            raise

    def _start(self) -> None:
        service_key = self.folder / "service-account.key"
        _write_private(service_key, _elliptic_key())
        tokens = self.folder / "tokens.csv"
        _write_private(tokens, f'{self.token},admin,1,"system:masters"\n')
        etcd = self._start_etcd()
        self.url = self._start_apiserver(etcd, service_key, tokens)
        self.credentials = Credentials(self.url, self.token, self.folder / "certificates" / "apiserver.crt")
        self.kubeconfig = self.credentials.write_kubeconfig(self.folder / "admin.kubeconfig")
        wait_until(self._has_certificate, "certificate of the API server", hint=f"see {self.folder}")
        self.client = Client(self.credentials)
        wait_until(self._is_ready, "ready API server", hint=f"see {self.folder}")
        # Before the controllers start, because the garbage collector discovers new kinds only every 30 seconds.
        self.client.apply(custom_resource_definition())
        wait_until(self._serves_monitors, "ModelMonitors in the API")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(self._controllers)}",
            "--leader-elect=false",
            "--secure-port=0",
            "--concurrent-gc-syncs=4",
        )

    def _start_etcd(self) -> str:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        return client

    def _start_apiserver(self, etcd: str, service_key: Path, tokens: Path) -> str:
        port = free_port()
        self._apiserver = self._run(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={service_key}",
            f"--service-account-signing-key-file={service_key}",
            f"--service-account-issuer=https://127.0.0.1:{port}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # No controller creates the default service account here, and no test creates a Service.
            "--disable-admission-plugins=ServiceAccount",
            "--profiling=false",
            *self._arguments,
        )
        return f"https://127.0.0.1:{port}"

    def _run(self, name: str, *arguments: str) -> Process:
        process = Process([program(name), *arguments], log=self.folder / f"{name}.log")
        self._processes.append(process)
        self.pids[name] = process.pid
        return process

    def restart(self) -> None:
        """Kill and restart kube-apiserver on the same port, and wait until it is ready; the others keep running."""
        self._apiserver.restart()
        wait_until(self._is_ready, "ready API server", hint=f"see {self.folder}")
        wait_until(self._serves_monitors, "ModelMonitors in the API")

    def _has_certificate(self) -> bool:
        self._ensure_running()
        return self.credentials.ca_file.exists()

    def _is_ready(self) -> bool:
        self._ensure_running()
        try:
            return str(self.client.call("GET", "/readyz", accept="text/plain")) == "ok"
        except ApiRefused:
            return False

    def _ensure_running(self) -> None:
        for process in self._processes:
            process.ensure_running()

    def _serves_monitors(self) -> bool:
        try:
            self.client.list("ModelMonitor")
        except ApiRefused:
            return False
        return True

    def stop(self) -> None:
        """Stop all processes in reverse order of their start."""
        if hasattr(self, "client"):
            self.client.close()
        for process in reversed(self._processes):
            process.kill()
        self._processes.clear()


def start_api_server(
    folder: Path, *, controllers: Sequence[str] = CONTROLLERS, arguments: Sequence[str] = ()
) -> ApiServer:
    """Start an API server in a subfolder of `folder`; retry if another program took one of its ports."""
    for attempt in range(1, _ATTEMPTS + 1):
        attempt_folder = folder / f"attempt-{attempt}"
        attempt_folder.mkdir()
        try:
            return ApiServer(attempt_folder, controllers=controllers, arguments=arguments)
        except ProcessEnded as error:
            if attempt == _ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("the last attempt returns or raises")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _elliptic_key() -> str:
    """Return a new private key on the curve P-256 as PEM, for signing the tokens of service accounts.

    RFC 5915: SEQUENCE {INTEGER 1, OCTET STRING of 32 bytes, [0] the OID of prime256v1}. The public point is
    optional and omitted. The first byte is below that of the curve's order, so any other bytes are valid.
    """
    scalar = b"\x7f" + secrets.token_bytes(31)
    der = bytes.fromhex("30310201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{encodebytes(der).decode()}-----END EC PRIVATE KEY-----\n"
