"""A headless Chromium that visits the console, and notes what must not happen there."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

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
