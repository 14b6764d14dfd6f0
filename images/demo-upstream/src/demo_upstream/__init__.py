"""Answers like Groq's API, without a model, a key or an account."""
