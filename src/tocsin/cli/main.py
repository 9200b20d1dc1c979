"""`tocsin`: every command in one place.

Exit codes: 0 done; 1 done, but some records were refused or failed; 2 wrong usage, a file that
cannot be read, or a setting that cannot work; 3 a server or database that does not answer; 4
somebody else is doing the same.
"""

import os
import sys
from typing import Annotated

import typer

from tocsin import __version__, logs
from tocsin.cli import (
    action,
    audit,
    closing,
    databases,
    decide,
    decisions,
    detections,
    evaluate,
    explain,
    export,
    incident,
    keys,
    learn,
    llm,
    model,
    normalize,
    queues,
    send,
    serve,
    triage,
    up,
    verify,
    watch,
)
from tocsin.cli.imports import assets_app, intel_app, users_app
from tocsin.cli.look import plain
from tocsin.errors import Busy, TocsinError, Unavailable

CODES: tuple[tuple[type[TocsinError], int], ...] = ((Busy, 4), (Unavailable, 3))
EXIT_CODES = __doc__.partition("\n\n")[2] if __doc__ else ""

app = typer.Typer(
    name="tocsin",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Security alert triage that says why, and can prove it.\n\n" + EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("down")(up.down)
app.command("serve")(serve.serve)
app.command("send")(send.send)
app.command("triage")(triage.triage)
app.command("evaluate")(evaluate.evaluate)
app.command("normalize")(normalize.normalize)
app.command("explain")(explain.explain)
app.command("verify")(verify.verify)
app.command("export")(export.export)
app.command("decide")(decide.decide)
app.command("learn")(learn.learn)
app.command("watch")(watch.watch)
app.command("doctor")(databases.doctor)
app.add_typer(assets_app, name="assets")
app.add_typer(users_app, name="users")
app.add_typer(intel_app, name="intel")
app.add_typer(decisions.app, name="decisions")
app.add_typer(model.app, name="model")
app.add_typer(detections.app, name="detections")
app.add_typer(incident.app, name="incident")
app.add_typer(action.app, name="action")
app.add_typer(keys.app, name="key")
app.add_typer(databases.app, name="db")
app.add_typer(audit.app, name="audit")
app.add_typer(closing.app, name="autoclose")
app.add_typer(queues.app, name="queue")
app.add_typer(llm.app, name="llm")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Security alert triage that says why, and can prove it."""
    # commands speak for themselves; only servers log
    logs.configure("error", libraries="critical")


def run() -> None:
    """The entry point: errors raised on purpose become one line and an exit code."""
    try:
        app()
    except Exception as raised:  # the edge: what is not ours goes on as it is
        error = _alone(raised)
        if isinstance(error, TocsinError):
            _complain(error)
            sys.exit(next((code for kind, code in CODES if isinstance(error, kind)), 2))
        if isinstance(error, UnicodeEncodeError):
            sys.stderr.write("tocsin: an argument or a file holds text that is not Unicode\n")
            sys.exit(2)
        if isinstance(error, BrokenPipeError):
            _let_go_of_output()
            sys.exit(0)
        raise


def _alone(error: BaseException) -> BaseException:
    """The error itself, where the tasks beside it only carried it outwards."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _let_go_of_output() -> None:
    """Nobody reads any more: what is left in the buffers must not complain at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _complain(error: TocsinError) -> None:
    text = str(error).encode("utf-8", "backslashreplace").decode()
    sys.stderr.write(f"tocsin: {plain(text)}\n")
