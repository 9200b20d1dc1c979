"""The REST interface."""

from tocsin.api.application import create_application

__all__ = ["create_application"]
