"""Finding the command line of chasec, calling it, and keeping one running."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from ._errors import ChasecError, ChasecNotFound, CommandError

Json = dict[str, Any]

_ADVICE = (
    "install it with `npm install chasec` (Node 20.19 or newer) where Python is started, "
    "or name the command line in the environment variable CHASEC"
)


def command_line() -> list[str]:
    """The words that start chasec: of CHASEC, on the PATH, of the npm package this file is in, or by way of npx.

    Raises ChasecNotFound, which says what to install.
    """
    given = os.environ.get("CHASEC", "").strip()
    if given:
        words = shlex.split(given)
        if shutil.which(words[0]) is None:
            raise ChasecNotFound(f"the environment variable CHASEC is {given!r}, and there is no program {words[0]}")
        return words
    found = shutil.which("chasec")
    if found is not None:
        return [found]
    node = shutil.which("node")
    packaged = Path(__file__).resolve().parents[2] / "dist" / "cli" / "main.js"
    if node is not None and packaged.is_file():
        return [node, str(packaged)]
    npx = shutil.which("npx")
    if npx is not None and _works(npx, "--no-install", "chasec"):
        return [npx, "--no-install", "chasec"]
    raise ChasecNotFound(f"there is no chasec to call; {_ADVICE}" if node else f"there is no Node; {_ADVICE}")


@cache
def _works(*command: str) -> bool:
    return subprocess.run([*command, "--version"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def call(arguments: Sequence[str]) -> tuple[int, Json]:
    """Runs a command with --json; gives its exit code, 0 or 1 (the answer is no), and what it printed.

    Raises CommandError for anything else.
    """
    words = [*command_line(), *arguments, "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    try:
        printed: object = json.loads(ran.stdout)
    except json.JSONDecodeError:
        printed = None
    if not isinstance(printed, dict) or ran.returncode not in (0, 1):
        if isinstance(printed, dict) and isinstance(printed.get("error"), dict):
            raise CommandError.of(printed["error"])
        told = (ran.stderr.strip() or ran.stdout.strip() or "nothing")[-2000:]
        raise CommandError("Crash", shlex.join(words), "an answer in JSON", f"exit code {ran.returncode}: {told}", "")
    return ran.returncode, printed


class Driver:
    """A running `chasec drive`: one request at a time, files in `folder`.

    The process is shielded from Ctrl-C, so that a loop that is interrupted can still save; it ends when its stdin does.
    """

    def __init__(self, folder: Path) -> None:
        self._complaints: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [*command_line(), "drive", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def request(self, request: Json) -> Json:
        """The answer to a request. Raises CommandError where it is refused, ChasecError where the process has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):
            line = ""
        if not line:
            raise ChasecError(f"chasec drive has ended: {self._complaint()}")
        answer: Json = json.loads(line)
        if "error" in answer:
            raise CommandError.of(answer["error"])
        return answer

    def _complaint(self) -> str:
        self._process.wait()
        self._complaints.seek(0)
        told = self._complaints.read().strip()[-2000:]
        return told or f"exit code {self._process.returncode}"

    def close(self) -> None:
        """Lets the process end. May be called twice."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass
        self._process.wait()
        self._complaints.close()
