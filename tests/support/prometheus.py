"""A Prometheus and an Alertmanager on loopback, and a receiver that stands for Slack or a pager."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from support.processes import Process, free_port, program, wait_until

Json = dict[str, Any]
#: A scrape, and an evaluation of the rules, per second.
_INTERVAL = "1s"


class Receiver:
    """Receives the notifications of Alertmanager.

    Attributes
    ----------
    alerts
        The alerts that were received.
    """

    def __init__(self) -> None:
        self.alerts: list[Json] = []
        alerts = self.alerts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                alerts.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


class Prometheus:
    """A Prometheus that scrapes one target.

    Parameters
    ----------
    folder
        Folder for its files.
    target_port
        Port of the target on loopback.
    rules
        Groups of rules, as in a PrometheusRule.
    alertmanager_port
        Port of an Alertmanager on loopback.
    """

    def __init__(
        self, folder: Path, target_port: int, rules: Json | None = None, alertmanager_port: int | None = None
    ) -> None:
        self._port = free_port()
        managers = [f"127.0.0.1:{alertmanager_port}"] if alertmanager_port else []
        config = {
            "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": managers}]}]},
            "scrape_configs": [
                {
                    "job_name": "modelmonitor",
                    "honor_labels": True,  # as the ServiceMonitor of the chart
                    "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}],
                }
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules or {"groups": []}))
        self.log = folder / "prometheus.log"
        self._process = Process(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
            ],
            log=self.log,
        )

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def query(self, expression: str) -> list[Json]:
        """Return the series of a query at this time.

        Raises
        ------
        AssertionError
            If it is invalid, or Prometheus is not ready.
        """
        data = self._call("/api/v1/query", query=expression)["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        result: list[Json] = data["result"]
        return result

    def wait_for(self, expression: str) -> list[Json]:
        """Wait until a query has a result, and return it."""

        def result() -> list[Json]:
            self._process.ensure_running()
            return self.query(expression)

        return wait_until(result, expression, hint=f"see {self.log}")

    def health(self) -> dict[str, str]:
        """Return the last error of each rule; empty if there was none."""
        groups = self._call("/api/v1/rules")["data"]["groups"]
        return {rule["name"]: rule.get("lastError", "") for group in groups for rule in group["rules"]}

    def _call(self, path: str, **parameters: str) -> Json:
        url = f"http://127.0.0.1:{self._port}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                answer: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError as error:
            raise AssertionError(f"Prometheus does not respond: {error}") from error
        assert answer["status"] == "success", answer
        return answer


@contextlib.contextmanager
def alertmanager(folder: Path, receiver: Receiver) -> Iterator[int]:
    """Run an Alertmanager that notifies a receiver at once, and return its port."""
    port = free_port()
    config = {
        "route": {"receiver": "test", "group_by": ["..."], "group_wait": "0s", "group_interval": _INTERVAL},
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver.url, "send_resolved": True}]}],
    }
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))
    process = Process(
        [
            program("alertmanager"),
            f"--config.file={folder / 'alertmanager.yaml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        log=folder / "alertmanager.log",
    )
    try:
        yield port
    finally:
        process.stop()


def check_metrics(text: str) -> None:
    """Check an exposition with promtool.

    Raises
    ------
    AssertionError
        If it is invalid, or a name is against the conventions.
    """
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
