"""The command `demo-upstream`."""

import os
import sys

import uvloop
from aiohttp import web

from demo_upstream.server import build_app
from demo_upstream.settings import Settings, SettingsError


def main() -> None:
    """Serve until told to stop, then let open requests finish."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit("\n".join(f"demo-upstream: {line}" for line in str(error).splitlines()))
    web.run_app(
        build_app(settings),
        host=settings.host,
        port=settings.port,
        loop=uvloop.new_event_loop(),
        shutdown_timeout=settings.drain_seconds,
        access_log=None,
        print=None,
    )
