"""Records the requests of real Claude Code sessions, without a word of their text."""
