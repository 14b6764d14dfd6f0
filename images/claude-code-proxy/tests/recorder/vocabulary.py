"""The words that a recording may hold: the API's, JSON Schema's, HTTP's, and names of our own."""

from __future__ import annotations

import re

# Claude Code's accounting block begins so; the proxy leaves it out.
BILLING = "x-anthropic-billing-header:"
VISION_MODEL = "demo-vision"
FAMILIES = ("haiku", "opus", "sonnet")

_MESSAGES_API = """
    budget_tokens cache_control container content context context_management data display edits
    effort format id input input_schema is_error keep max_tokens max_uses mcp_servers media_type
    messages metadata model name output_config output_format role schema scope service_tier
    signature source speed stop_sequences stream system temperature text thinking title tool_choice
    tool_name tool_use_id tools top_k top_p ttl type url user_id
    allowed_domains blocked_domains disable_parallel_tool_use strict

    assistant system user
    document image redacted_thinking search_result server_tool_use text thinking tool_reference
    tool_result tool_use web_search_tool_result
    base64 ephemeral 5m 1h global
    auto any tool none custom
    adaptive disabled enabled omitted summarized
    low medium high xhigh max
    all clear_thinking_20251015 clear_tool_uses_20250919 json_schema
    web_fetch_20250910 web_search web_search_20250305
    image/gif image/jpeg image/png image/webp application/pdf text/plain
"""
_JSON_SCHEMA = """
    # $defs $ref $schema additionalProperties allOf anyOf const default definitions description enum
    examples exclusiveMaximum exclusiveMinimum format items maxItems maxLength maximum minItems
    minLength minimum multipleOf oneOf pattern properties propertyNames required title type
    uniqueItems
    array boolean integer null number object string date date-time email uri uuid
    https://json-schema.org/draft/2020-12/schema http://json-schema.org/draft-07/schema#
"""
_HTTP = """
    DELETE GET HEAD POST PUT
    v1 beta count_tokens messages models true
    accept accept-encoding anthropic-beta anthropic-dangerous-direct-browser-access
    anthropic-version authorization content-type user-agent x-api-key x-app x-stainless-retry-count
    x-stainless-timeout
    2023-06-01 Bearer application/json br deflate gzip zstd
"""
_RECORDING = "body headers method path status"

VOCABULARY = frozenset(
    [
        *_MESSAGES_API.split(),
        *_JSON_SCHEMA.split(),
        *_HTTP.split(),
        *_RECORDING.split(),
        VISION_MODEL,
        *(f"claude-{name}" for name in FAMILIES),
    ]
)
# What stands between the words of a path or a schema's reference, and of a header's value.
PATH_SEPARATORS = re.compile(r"([/?&=]+)")
LIST_SEPARATORS = re.compile(r"([\s,;()]+)")
