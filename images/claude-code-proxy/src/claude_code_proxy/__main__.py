"""Lets `python -m claude_code_proxy` start the proxy."""

from claude_code_proxy.main import main

main()
