"""A laboratory behind `parity-mas serve`, and a headless Chromium that notes what must not happen there."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from environments.http.access_database import AccessDatabase
from environments.http.tokens import TokenStore
from environments.simulation.clock import WallClock

ROOT = Path(__file__).parents[1]
SIGNED_IN: dict[str, tuple[str, ...]] = {
    "market-operator": (),
    "aggregator": (),
    "dso": (),
    "prosumer": ("h001",),
}
AXE = Path(__file__).parents[1] / ".servers" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
GRAVE = ("serious", "critical")
PATIENCE_MS = 15_000
LOOK_AGAIN_MS = 200


def required() -> None:
    """Skip where the browser or axe-core is missing, unless servers are required."""
    missing = [name for name, there in (("chromium", CHROMIUM), (str(AXE), AXE.is_file())) if not there]
    if missing and not os.environ.get("PARITY_REQUIRE_SERVERS"):
        pytest.skip(f"{', '.join(missing)}: scripts/install-servers installs it")
    assert not missing, f"{missing} missing, and PARITY_REQUIRE_SERVERS is set"


class Served(NamedTuple):
    """A laboratory that lives behind `parity-mas serve`, and who may sign in there."""

    url: str
    tokens: dict[str, str]


@contextmanager
def served_laboratory(folder: Path) -> Iterator[Served]:
    """Run the laboratory live with its console in a process of its own, as an operator does."""
    database = f"sqlite:///{folder / 'access.sqlite'}"
    with closing(AccessDatabase(database)) as access:
        store = TokenStore(access, WallClock().now_s)
        tokens = {
            role: store.create(role, role, sites, requests_per_s=1000, rights=("bodies",))[0]
            for role, sites in SIGNED_IN.items()
        }
    scenario = str(ROOT / "launch/scenarios/laboratory.yaml")
    command = ["-m", "launch.cli", "serve", scenario, "--port", "0", "--pace", "1", "--out", "runs/live"]
    process = subprocess.Popen(
        [sys.executable, *command, "--set", f"api.database={database}", "--set", "days=30"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "serving at" in line), "")
        assert line, "the laboratory did not start"
        yield Served(line.split()[2].rstrip(","), tokens)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def running_chromium() -> Iterator[Any]:
    """Yield a browser of this machine's distribution."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of their own, signed in or not.

    `faults` collects errors of scripts and of the console, failed requests, and requests that leave the
    machine.
    """

    def __init__(self, browser: Any, url: str, **how: Any) -> None:
        self.url = url
        self.faults: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self._note(f"script: {error}"))
        self.page.on("console", lambda said: said.type == "error" and self._note(f"console: {said.text}"))
        self.page.on("request", self._look_where)

    def _note(self, fault: str) -> None:
        self.faults.append(f"{self.page.url}: {fault}")

    def _look_where(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self._note(f"left the machine: {request.url}")

    def sign_in(self, token: str) -> "Visitor":
        self.page.goto(f"{self.url}/console/sign-in")
        self.page.fill("input[name=token]", token)
        self.page.click("button:has-text('Sign in')")
        self.page.wait_for_selector("nav")
        return self

    def open(self, path: str) -> Any:
        answer = self.page.goto(f"{self.url}{path}", wait_until="load")
        if answer is not None and answer.status >= 400:
            self._note(f"answered {answer.status}")
        return self.page

    def navigation(self) -> list[str]:
        """Return where the navigation leads from the overview."""
        self.open("/console/")
        return self._paths("nav a")

    def links(self) -> list[str]:
        """Return where the present page's content leads within the console: one of each kind."""
        kinds = {}
        for path in self._paths("main a:not([download])"):
            if path.startswith("/console/"):
                kinds.setdefault(_kind(path), path)
        return list(kinds.values())

    def accessibility_faults(self) -> list[str]:
        """Return what axe-core finds that is serious or critical."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{self.page.url}: {each['id']}: {each['help']}: {node['html'][:200]}"
            for each in found["violations"]
            if each["impact"] in GRAVE
            for node in each["nodes"][:3]
        ]

    def until(self, holds: Callable[[], bool], patience_ms: int = PATIENCE_MS) -> None:
        """Return when something holds on the page; its policy forbids that a browser waits by a script."""
        for _ in range(patience_ms // LOOK_AGAIN_MS):
            if holds():
                return
            self.page.wait_for_timeout(LOOK_AGAIN_MS)
        raise AssertionError(f"{self.page.url}: did not come about within {patience_ms} ms")

    def close(self) -> None:
        self.context.close()

    def _paths(self, selector: str) -> list[str]:
        found = self.page.eval_on_selector_all(selector, "all => all.map(a => a.getAttribute('href'))")
        return [path for path in found if path]


def _kind(path: str) -> str:
    """Return which page a path leads to, whatever it is about: its words, without names and numbers."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if part.isalpha() and index < 4 else "…" for index, part in enumerate(parts))
