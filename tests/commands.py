"""`tocsin` commands as processes of their own, each forked from one that has loaded the code.

To load it takes most of a second, which hundreds of commands would pay again. Arguments, input,
output, environment, signals and exit codes are a process's as ever; `python -m tocsin` itself is
what servers are started by, and the commands of tests/flow/test_cli_terminal.py.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tocsin.cli.main"])


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes | None = None,
    timeout: float,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end, as `subprocess.run` would.

    Raises:
        subprocess.TimeoutExpired: it took longer than this many seconds, and was killed.
    """
    given = [os.fsdecode(os.fsencode(argument)) for argument in arguments]
    with tempfile.TemporaryDirectory(prefix="tocsin-command-") as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        files[0].write_bytes(stdin or b"")
        process = _forking.Process(target=_become, args=(given, dict(env), cwd, files))
        process.start()
        try:
            process.join(timeout)
            if process.exitcode is None:
                raise subprocess.TimeoutExpired(given, timeout)
            out, err = (path.read_bytes() for path in files[1:])
            return subprocess.CompletedProcess(given, process.exitcode, out, err)
        finally:
            process.kill()
            process.join()
            process.close()


def _become(arguments: list[str], env: dict[str, str], cwd: Path, files: list[Path]) -> None:
    """In the new process: take on what the command was given, and run it."""
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (path, mode) in enumerate(zip(files, modes, strict=True)):
        opened = os.open(path, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    from tocsin.cli import main

    sys.argv = ["tocsin", *arguments]  # as the installed command calls itself
    main.run()
