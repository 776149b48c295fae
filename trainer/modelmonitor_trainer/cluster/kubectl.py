"""Requests to a cluster, through kubectl: its kubeconfig, its login plugins and its proxies apply unchanged."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urlencode

from modelmonitor_api.names import GROUP, PLURAL, VERSION
from modelmonitor_trainer.cluster.errors import ClusterError, Denied, Missing, Unreachable
from modelmonitor_trainer.text import printable

Object = dict[str, Any]

#: Seconds for one request, and for a port to be forwarded.
REQUEST_SECONDS = 30
FORWARD_SECONDS = 20
FIELD_MANAGER = "kubectl-mmon"
_MONITORS = f"/apis/{GROUP}/{VERSION}"
_REFUSAL = re.compile(r"^Error from server(?: \((\w+)\))?: (.*)", re.DOTALL)
_UNREACHABLE = ("Unable to connect to the server", "was refused - did you specify", "i/o timeout", "no such host")
_FORWARDED = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->")


@dataclass(frozen=True)
class Kubectl:
    """A cluster, as the caller's kubectl accesses it.

    Attributes
    ----------
    kubeconfig, context
        As the options of kubectl; None is the caller's default.
    program
        The program, by name or path.
    """

    kubeconfig: str | None = None
    context: str | None = None
    program: str = "kubectl"

    def current_namespace(self) -> str:
        """Return the namespace of the context; default without one, as in kubectl."""
        try:
            text = self._run("config", "view", "--minify", "--output=jsonpath={..namespace}", local=True)
        except ClusterError:
            if self.context is not None:
                raise
            return "default"
        return text.strip() or "default"

    def contexts(self) -> list[str]:
        """Return the names of all contexts."""
        return self._run("config", "get-contexts", "--output=name", local=True).split()

    def get(self, path: str, **query: str) -> Object:
        """Return what the API server has at a path.

        Raises
        ------
        Missing, Denied, Unreachable
            If it has nothing there, does not permit the request, or does not respond.
        """
        answer: Object = self._json("get", "--raw", path + (f"?{urlencode(query)}" if query else ""))
        return answer

    def items(self, path: str, **query: str) -> list[Object]:
        """Return the objects of a collection."""
        return list(self.get(path, **query).get("items") or [])

    def monitor(self, namespace: str, name: str) -> Object:
        """Return a ModelMonitor."""
        return self.get(f"{monitors_path(namespace)}/{quote(name, safe='')}")

    def patch_monitor(self, namespace: str, name: str, change: Object) -> Object:
        """Merge a change into a ModelMonitor, and return it."""
        return self._json(
            "patch",
            f"--namespace={namespace}",
            "--type=merge",
            f"--patch={json.dumps(change)}",
            f"--field-manager={FIELD_MANAGER}",
            "--output=json",
            "--",
            f"{PLURAL}.{GROUP}",
            name,
        )

    def is_permitted(self, verb: str, resource: str, namespace: str | None, *, group: str = "", name: str = "") -> bool:
        """Return whether the caller may do something; `resource` can name a subresource after a slash."""
        kind, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": kind, "subresource": subresource, "name": name}
        attributes |= {"namespace": namespace} if namespace else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._json("create", "--raw", path, "--filename=-", stdin=json.dumps(review))
        return bool((answer.get("status") or {}).get("allowed"))

    @contextlib.contextmanager
    def forward(self, namespace: str, service: str, port: int) -> Iterator[int]:
        """Forward a local port to a port of a Service while the block runs; yield the local port.

        Raises
        ------
        ClusterError
            With what kubectl reports.
        """
        command = self._command(
            "port-forward", f"--namespace={namespace}", "--address=127.0.0.1", f"service/{service}", f":{port}"
        )
        with subprocess.Popen(  # noqa: S603 - kubectl, with arguments that are not read by a shell
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield _forwarded_port(process, f"service {service} in namespace {namespace}")
            finally:
                process.terminate()

    def _json(self, *arguments: str, stdin: str | None = None) -> Object:
        text = self._run(*arguments, stdin=stdin)
        try:
            answer: Object = json.loads(text)
        except ValueError as error:
            raise ClusterError(f"kubectl {arguments[0]} returned no JSON: {printable(text[:200])!r}") from error
        return answer

    def _run(self, *arguments: str, stdin: str | None = None, local: bool = False) -> str:
        limits = () if local else (f"--request-timeout={REQUEST_SECONDS}s",)
        try:
            done = subprocess.run(  # noqa: S603 - kubectl, with arguments that are not read by a shell
                self._command(*limits, *arguments),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=2 * REQUEST_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"kubectl {arguments[0]} did not end within {2 * REQUEST_SECONDS} seconds") from error
        if done.returncode:
            raise error_of(done.stderr or done.stdout)
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        program = shutil.which(self.program)
        if program is None:
            raise ClusterError(f"{self.program} is not on the PATH; install kubectl, which this command runs")
        options = {"--kubeconfig": self.kubeconfig, "--context": self.context}
        return [program, *(f"{name}={value}" for name, value in options.items() if value), *arguments]


def monitors_path(namespace: str | None) -> str:
    """Return the path of the ModelMonitors of a namespace; None is all of them."""
    return f"{_MONITORS}/namespaces/{quote(namespace, safe='')}/{PLURAL}" if namespace else f"{_MONITORS}/{PLURAL}"


def error_of(stderr: str) -> ClusterError:
    """Return the error that kubectl reports, without what a terminal would interpret."""
    lines = [printable(line) for line in stderr.strip().splitlines() if not line.startswith(("E0", "E1", "W0", "W1"))]
    text = " ".join(lines) or printable(stderr.strip()) or "kubectl failed without a message"
    match = _REFUSAL.match(text)
    if match is None:
        if any(sign in text for sign in _UNREACHABLE):
            return Unreachable(f"{text}; see kubectl cluster-info, and --context and --kubeconfig")
        return ClusterError(text.removeprefix("error: "))
    reason, message = match[1] or "", match[2]
    if reason == "NotFound" or "could not find the requested resource" in message:
        return Missing(message)
    if reason in {"Forbidden", "Unauthorized"}:
        return Denied(message)
    if reason in {"ServiceUnavailable", "Timeout", "TooManyRequests", "InternalError"}:
        return Unreachable(message)
    return ClusterError(message)


def _forwarded_port(process: subprocess.Popen[str], target: str) -> int:
    """Return the local port once kubectl has opened it."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert process.stdout is not None
    assert process.stderr is not None
    reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        first = lines.get(timeout=FORWARD_SECONDS)
    except queue.Empty:
        raise Unreachable(f"no port of {target} was forwarded within {FORWARD_SECONDS} seconds") from None
    match = _FORWARDED.match(first)
    if match is not None:
        return int(match[1])
    process.terminate()
    cause = error_of(process.stderr.read() or first)
    raise type(cause)(f"no port of {target} can be forwarded: {cause}")


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Read a stream to its end, so that its writer never waits; an empty line marks the end."""
    for line in stream:
        lines.put(line)
    lines.put("")


def in_parallel(calls: Sequence[Any]) -> list[Any]:
    """Return the results of calls that run at the same time; an expected error is a result as well."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(call: Any) -> Any:
        try:
            return call()
        except ClusterError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        return list(pool.map(attempt, calls))
