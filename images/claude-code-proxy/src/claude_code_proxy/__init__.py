"""A proxy that serves Anthropic's Messages API from an OpenAI-compatible upstream."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("claude-code-proxy")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"
