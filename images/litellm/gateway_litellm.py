"""LiteLLM's command, started and served with what this gateway uses of it.

LiteLLM itself is untouched: this prepares the interpreter, then runs the ``litellm`` command with
its own arguments and variables. What is prepared holds for its workers too, which are forked.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import uvicorn._subprocess
from fastapi import APIRouter

# Everything else LiteLLM serves needs its database or is not reachable through the gateway.
SERVED = frozenset(
    {
        "/chat/completions",
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/models",
        "/models/{model_id}",
        "/v1/models",
        "/v1/models/{model_id}",
        "/model/info",
        "/v1/model/info",
    }
)
SERVED_BELOW = "/health"

# Modules of LiteLLM of which its start only takes the router and these names, to call them later.
# They are imported when they are first needed; what else is asked of them is answered all the same.
PROXY = "litellm.proxy."
DEFERRED: Mapping[str, tuple[str, ...]] = {
    "analytics_endpoints.analytics_endpoints": (),
    "batches_endpoints.endpoints": (),
    "caching_routes": (),
    "container_endpoints.endpoints": (),
    "credential_endpoints.endpoints": (),
    "fine_tuning_endpoints.endpoints": ("set_fine_tuning_config",),
    "google_endpoints.endpoints": (),
    "image_endpoints.endpoints": ("image_generation",),
    "lens.dataset_endpoints": (),
    "lens.endpoints": (),
    "lens.feedback_endpoints": (),
    "management_endpoints.auto_router_endpoints": (),
    "management_endpoints.budget_management_endpoints": (),
    "management_endpoints.cache_settings_endpoints": (),
    "management_endpoints.callback_management_endpoints": (),
    "management_endpoints.coordination_redis_endpoints": (
        "get_persisted_coordination_redis_settings",
    ),
    "management_endpoints.cost_tracking_settings": (),
    "management_endpoints.customer_endpoints": (),
    "management_endpoints.daily_activity_routes": (),
    "management_endpoints.fallback_management_endpoints": (),
    "management_endpoints.gateway_request_endpoints": (),
    "management_endpoints.internal_user_endpoints": ("user_update",),
    "management_endpoints.management_v1": (),
    "management_endpoints.model_access_group_management_endpoints": (),
    "management_endpoints.organization_endpoints": ("add_member_to_organization",),
    "management_endpoints.password_endpoints": (),
    "management_endpoints.prompt_caching_requests": (),
    "management_endpoints.router_settings_endpoints": (),
    "management_endpoints.session_endpoints": (),
    "management_endpoints.team_callback_endpoints": (),
    "management_endpoints.ui_sso": ("get_disabled_non_admin_personal_key_creation",),
    "management_endpoints.user_agent_analytics_endpoints": (),
    "management_endpoints.workflow_management_endpoints": (),
    "memory.memory_endpoints": (),
    "moyai_endpoints": (),
    "ocr_endpoints.endpoints": (),
    "openai_files_endpoints.files_endpoints": ("set_files_config",),
    "pass_through_endpoints.openai_passthrough_endpoints": (),
    "pass_through_endpoints.pass_through_endpoints": ("initialize_pass_through_endpoints",),
    "plugin_routes": ("register_plugins_from_config",),
    "public_endpoints.public_v1": (),
    "rag_endpoints.endpoints": (),
    "rerank_endpoints.endpoints": (),
    "response_api_endpoints.endpoints": (),
    "search_endpoints.endpoints": (),
    "spend_tracking.spend_management_endpoints": (),
    "ui_crud_endpoints.latest_release_endpoints": (),
    "ui_crud_endpoints.proxy_setting_endpoints": ("sync_ui_settings_to_general_settings",),
    "ui_crud_endpoints.user_banner_endpoints": (),
    "video_endpoints.endpoints": (),
}
# Each worker's start imports these only to find that nothing of theirs is configured.
UNCONFIGURED: Mapping[str, tuple[str, ...]] = {
    "hooks.mcp_semantic_filter": ("SemanticToolFilterHook",),
}
# Its start decorates a route with this one, which is not served.
CATALOG = "_experimental.mcp_server.catalog"

# Each request tries to import it, and fails at its dependencies, which this image does not have.
ABSENT = ("litellm.integrations.otel.logger",)


def is_served(path: str) -> bool:
    """Tell whether the gateway uses a route of LiteLLM's."""
    return path in SERVED or path.startswith(SERVED_BELOW)


def leave_out_routes() -> set[str]:
    """Keep FastAPI from preparing the routes that the gateway does not use.

    Returns the paths that are served, which grows as LiteLLM declares them.
    """
    add = APIRouter.add_api_route
    served: set[str] = set()

    def add_api_route(self: APIRouter, path: str, *args: Any, **kwargs: Any) -> None:
        if is_served(self.prefix + path):
            served.add(self.prefix + path)
            add(self, path, *args, **kwargs)

    def add_api_websocket_route(self: APIRouter, path: str, *args: Any, **kwargs: Any) -> None:
        pass

    APIRouter.add_api_route = add_api_route  # type: ignore[method-assign]
    APIRouter.add_api_websocket_route = add_api_websocket_route  # type: ignore[method-assign]
    return served


class Deferred(ModuleType):
    """A module that is executed when something is asked of it that is not there yet."""

    def __getattr__(self, name: str) -> Any:
        loader = self.__spec__.loader if self.__spec__ else None
        if isinstance(loader, DeferringLoader) and not name.startswith("__"):
            loader.execute(self)
        return self.__getattribute__(name)


class DeferringLoader(importlib.abc.Loader):
    """Gives a module stand-ins, and executes it later, once."""

    def __init__(self, real: importlib.abc.Loader, functions: Sequence[str]) -> None:
        self._real = real
        self._functions = functions
        self._lock = threading.RLock()
        self._executed = False

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the empty module."""
        return Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module what LiteLLM's start takes from it."""
        if module.__name__ == PROXY + CATALOG:
            vars(module)["public_catalog_operation"] = lambda endpoint: endpoint
        else:
            vars(module)["router"] = APIRouter()
        for name in self._functions:
            vars(module)[name] = self._later(module, name)

    def execute(self, module: ModuleType) -> None:
        """Execute the module, unless that has begun: what it lacks meanwhile, it lacks."""
        with self._lock:
            if not self._executed:
                self._executed = True
                self._real.exec_module(module)

    @property
    def executed(self) -> bool:
        """Whether the module is, or has begun to be, what its source says."""
        return self._executed

    def _later(self, module: ModuleType, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.execute(module)
            return getattr(module, name)(*args, **kwargs)

        return call


class DeferringFinder(importlib.abc.MetaPathFinder):
    """Finds the modules that are deferred."""

    def __init__(self) -> None:
        deferred = {**DEFERRED, **UNCONFIGURED}
        self._deferred = {PROXY + name: functions for name, functions in deferred.items()}
        self._deferred[PROXY + CATALOG] = ()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - part of the interface
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's own spec with a loader that waits; None leaves it to others."""
        if fullname not in self._deferred:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec and spec.loader:
            spec.loader = DeferringLoader(spec.loader, self._deferred[fullname])
        return spec


def is_waiting(module: ModuleType | None) -> bool:
    """Tell whether a module was asked for and is not executed yet."""
    loader = module.__spec__.loader if module and module.__spec__ else None
    return isinstance(loader, DeferringLoader) and not loader.executed


def settle() -> None:
    """Stop the collector from looking at what was imported; each worker calls it once."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def prepare() -> set[str]:
    """Make the interpreter ready for LiteLLM's command; return the paths that it will serve."""
    # What an import makes stays, and the collector would look at all of it again and again.
    gc.disable()
    served = leave_out_routes()
    sys.meta_path.insert(0, DeferringFinder())
    for name in ABSENT:
        sys.modules[name] = None  # type: ignore[assignment]
    # Spawned workers would import everything again, each for itself.
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]
    hooks = os.environ.get("LITELLM_WORKER_STARTUP_HOOKS")
    os.environ["LITELLM_WORKER_STARTUP_HOOKS"] = ",".join(
        filter(None, [f"{__name__}:{settle.__name__}", hooks])
    )
    os.environ.setdefault("NUM_WORKERS", str(len(os.sched_getaffinity(0))))
    # By default 5 s: a busy machine would have its workers replaced before they have started.
    os.environ.setdefault("TIMEOUT_WORKER_HEALTHCHECK", "30")
    return served


def main() -> None:
    """Run LiteLLM's command and end the process with its exit code."""
    prepare()
    from litellm import run_server
    from litellm.proxy.hooks import PROXY_HOOKS

    # Limits of keys, budgets, sessions and skills, of which the gateway has none: each of them
    # would look at every request, and one at every piece of a stream.
    PROXY_HOOKS.clear()
    code: int | str | None = 0
    try:
        run_server()
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, str):
        raise SystemExit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking the interpreter apart takes longer than all that LiteLLM does at its end.
    os._exit(code or 0)


def check() -> None:
    """Raise SystemExit unless this release of LiteLLM is what the names above were written for."""
    registered = prepare()
    from litellm.proxy import proxy_server
    from litellm.proxy.anthropic_endpoints import endpoints

    for name in UNCONFIGURED:
        importlib.import_module(PROXY + name)
    names = {PROXY + name for name in (*DEFERRED, *UNCONFIGURED, CATALOG)}
    early = {name for name in names if not is_waiting(sys.modules.get(name))}
    problems = [f"{path} is not served" for path in sorted(SERVED - registered)]
    problems += [f"{name} is no longer deferred" for name in sorted(early)]
    if problems:
        modules = f"{proxy_server.__name__} and {endpoints.__name__}"
        raise SystemExit(f"{modules} do not fit gateway_litellm.py:\n" + "\n".join(problems))
