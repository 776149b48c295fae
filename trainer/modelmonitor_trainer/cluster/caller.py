"""Commands that a message recommends, as the caller would have to type them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from modelmonitor_trainer.text import printable

PROGRAM = "kubectl mmon"


@dataclass(frozen=True)
class Caller:
    """How the caller has reached the cluster.

    Attributes
    ----------
    namespace
        Namespace of the monitor; empty if it is that of the context, so that commands need not name it.
    context, kubeconfig
        As given; None is the default.
    """

    namespace: str = ""
    context: str | None = None
    kubeconfig: str | None = None

    def mmon(self, *words: str) -> str:
        """Return a command of the plugin."""
        return self._with_options(PROGRAM, words)

    def kubectl(self, *words: str) -> str:
        """Return a command of kubectl."""
        return self._with_options("kubectl", words)

    def cluster_wide(self, *words: str) -> str:
        """Return a command of kubectl for what has no namespace, or for another one."""
        return Caller("", self.context, self.kubeconfig).kubectl(*words)

    def _with_options(self, program: str, words: tuple[str, ...]) -> str:
        options = {"-n": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        given = [part for name, value in options.items() if value for part in (name, value)]
        return f"{program} {shlex.join([printable(word) for word in (*words, *given)])}"
