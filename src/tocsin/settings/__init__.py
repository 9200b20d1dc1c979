"""Every knob, with its documentation; the only reader of the environment.

A setting `name` is read, first match wins, from: an argument of the command line, the environment
variable `TOCSIN_NAME`, a file `NAME` (`tocsin_name`) in the folder that `TOCSIN_SECRETS` names, the
TOML file that `TOCSIN_CONFIG` names (default `tocsin.toml` in the working directory), the default.
"""

from typing import Any

from pydantic import ValidationError

from tocsin.errors import SettingsError
from tocsin.settings.environment import environment_of, settings_file
from tocsin.settings.knobs import Settings
from tocsin.settings.provider import ModelProvider

__all__ = ["ModelProvider", "Settings", "environment_of", "load", "settings_file"]


def load(**arguments: Any) -> Settings:
    """Read all settings; arguments that are None count as not given.

    Raises:
        SettingsError: a value cannot work, or a file cannot be read; the message names each
            setting or file and what is wrong.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(*item['loc'])}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"settings: {wrong}") from error
    except ValueError as error:
        why = f" ({error.__cause__})" if error.__cause__ else ""
        raise SettingsError(f"settings: {error}{why}") from error


def _variable(name: int | str = "settings", *inside: int | str) -> str:
    """The variable, and the place within it, e.g. `TOCSIN_LLM_PROVIDERS[0][kind]`."""
    return f"TOCSIN_{name}".upper() + "".join(f"[{part}]" for part in inside)
