"""What Envoy is told: the four files it reads, as bytes. Pure; the same wish gives the same bytes.

The bootstrap is read at the start only. The other three are read again whenever they are replaced by a rename. Each
carries its own digest as its version, so that Envoy says which content it uses. Paths are relative to the route's
folder, in which Envoy runs: a project that is moved keeps working, and no path is too long for a Unix socket.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from specforge.core.making import dataclass
from specforge.core.serving import Listen

BOOTSTRAP = "bootstrap.json"
LISTENERS = "listeners.json"
CLUSTERS = "clusters.json"
ROUTES = "routes.json"
ADMIN = "admin.sock"
PROBE = "probe.sock"

_TYPE = "type.googleapis.com/envoy."
_OWNER_ONLY = 0o600
_ROUTE_NAME = "routes"
_PROBE_KEY = "specforge.probe"
_MOST_CONNECTIONS = 10_000
# A replica closes an idle connection after 5 s at the earliest (uvicorn's own default): Envoy has to be the first, or
# a request is lost that was sent while the connection was being closed.
_IDLE_UPSTREAM = "3s"
_NOBODY = "503 no replica of this service is healthy, try again later\n"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A group of replicas as Envoy is told of it: its name and its sockets, relative to the route's folder."""

    group: str
    sockets: tuple[str, ...]


def bootstrap() -> bytes:
    """Return the content of the bootstrap file."""
    limit = {
        "@type": f"{_TYPE}extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": str(_MOST_CONNECTIONS),
    }
    # It answers with the version of the routes in use. Main-thread statistics tell only what was handed to the worker.
    probe = {
        "name": "probe",
        "address": {"pipe": {"path": PROBE, "mode": _OWNER_ONLY}},
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [_mark_as_probe(), _http("probe")]}],
    }
    return _bytes(
        {
            "node": {"id": "gateway", "cluster": "specforge"},
            "admin": {"address": {"pipe": {"path": ADMIN, "mode": _OWNER_ONLY}}},
            "dynamic_resources": {"lds_config": _source(LISTENERS), "cds_config": _source(CLUSTERS)},
            "static_resources": {"listeners": [probe]},
            "overload_manager": {
                "resource_monitors": [
                    {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
                ]
            },
        }
    )


def listeners(addresses: Sequence[Listen]) -> bytes:
    """Return the content of the file of listeners; the hosts are IP addresses."""
    return _versioned([_listener(each) for each in addresses])


def clusters(upstreams: Sequence[Upstream]) -> bytes:
    """Return the content of the file of groups."""
    return _versioned([_cluster(each) for each in sorted(upstreams, key=lambda each: each.group)])


def routes(weights: Mapping[str, int], timeout: float) -> bytes:
    """Return the content of the file of routes; `timeout` in seconds."""
    shares = [{"name": group, "weight": weight} for group, weight in sorted(weights.items()) if weight]
    route: Json = {
        "weighted_clusters": {"clusters": shares},
        "timeout": _seconds(timeout),
        # While a replica thinks, nothing is sent either way: being idle must not end a request before its time.
        "idle_timeout": _seconds(timeout + 5),
        "retry_policy": _retries(),
    }
    seen_by_probe = {"prefix": "/", "filter_state": [{"key": _PROBE_KEY, "string_match": {"exact": "yes"}}]}
    # The version in the probe's answer is that of everything a request meets.
    version = sha256(_bytes(route)).hexdigest()[:16]
    answer = {"match": seen_by_probe, "direct_response": {"status": 200, "body": {"inline_string": version}}}
    everything = {
        "match": {"prefix": "/"},
        "route": route,
        "request_headers_to_remove": ["x-envoy-external-address", "x-envoy-internal", "x-envoy-expected-rq-timeout-ms"],
    }
    table = {
        "@type": f"{_TYPE}config.route.v3.RouteConfiguration",
        "name": _ROUTE_NAME,
        "virtual_hosts": [{"name": "service", "domains": ["*"], "routes": [answer, everything]}],
    }
    return _bytes({"version_info": version, "resources": [table]})


def version_of(content: bytes) -> str:
    """Return the version that a file of listeners, groups or routes has."""
    return str(json.loads(content)["version_info"])


def statistics_name(group: str) -> str:
    """Return the name of a group in Envoy's statistics, where not every character may stand."""
    return "group-" + sha256(group.encode()).hexdigest()[:16]


# ---- parts ----


def _listener(address: Listen) -> Json:
    where: Json = {"address": address.host, "port_value": address.port}
    if address.host == "::":
        where["ipv4_compat"] = True
    return {
        "@type": f"{_TYPE}config.listener.v3.Listener",
        "name": str(address),
        "address": {"socket_address": where},
        # With SO_REUSEPORT a second gateway would take half of the connections instead of being refused.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 256 << 10,
        "filter_chains": [{"filters": [_http("in")]}],
    }


def _http(prefix: str) -> Json:
    nobody = {
        "filter": {"response_flag_filter": {"flags": ["UH", "UF", "NC"]}},
        "status_code": 503,
        "body": {"inline_string": _NOBODY},
    }
    return {
        "name": "http",
        "typed_config": {
            "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": prefix,
            "rds": {"route_config_name": _ROUTE_NAME, "config_source": _source(ROUTES)},
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {
                        "@type": f"{_TYPE}extensions.filters.http.router.v3.Router",
                        "suppress_envoy_headers": True,
                    },
                }
            ],
            # The replica sees who asks, and headers that are Envoy's own are not taken from users.
            "use_remote_address": True,
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "normalize_path": True,
            # Slow clients: so long for the headers, for the whole request, for the next request on a connection.
            "request_headers_timeout": "10s",
            "request_timeout": "120s",
            "common_http_protocol_options": {"idle_timeout": "75s"},
            "local_reply_config": {"mappers": [nobody]},
        },
    }


def _mark_as_probe() -> Json:
    mark = {
        "object_key": _PROBE_KEY,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": "yes"}},
    }
    kind = f"{_TYPE}extensions.filters.network.set_filter_state.v3.Config"
    return {"name": "mark", "typed_config": {"@type": kind, "on_new_connection": [mark]}}


def _retries() -> Json:
    """Retry only what no replica has begun: it may be no harm to count a picture twice, but that is not ours to say."""
    kind = f"{_TYPE}extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
        "retry_host_predicate": [{"name": "another", "typed_config": {"@type": kind}}],
        "host_selection_retry_max_attempts": "3",
    }


def _cluster(upstream: Upstream) -> Json:
    replicas = [{"endpoint": {"address": {"pipe": {"path": each}}}} for each in upstream.sockets]
    bounds = ("max_connections", "max_pending_requests", "max_requests")
    protocol = f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "@type": f"{_TYPE}config.cluster.v3.Cluster",
        "name": upstream.group,
        "alt_stat_name": statistics_name(upstream.group),
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": upstream.group, "endpoints": [{"lb_endpoints": replicas}]},
        # A replica that is not healthy gets nothing, even if no other is: a clear 503 instead of a guess.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        # The replicas bound what they do at once and answer 429 or 503; a second, hidden bound would only confuse.
        "circuit_breakers": {"thresholds": [dict.fromkeys(bounds, _MOST_CONNECTIONS) | {"max_retries": 100}]},
        "health_checks": [_health_check()],
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": protocol,
                "common_http_protocol_options": {"idle_timeout": _IDLE_UPSTREAM},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _health_check() -> Json:
    """A dead replica refuses at once, and requests to it go to another one until it is left out, after 2 s at most.

    One that is only busy has 5 s to answer. Passive detection is left out: it would learn nothing beyond this.
    """
    return {
        "http_health_check": {"path": "/health"},
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_interval": "0.25s",
        "timeout": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }


def _source(file: str) -> Json:
    # Envoy watches the folder of the path, and takes no path without one.
    return {"path_config_source": {"path": f"./{file}"}, "resource_api_version": "V3"}


def _versioned(resources: list[Json]) -> bytes:
    return _bytes({"version_info": sha256(_bytes(resources)).hexdigest()[:16], "resources": resources})


def _seconds(value: float) -> str:
    return f"{value:.3f}s"


def _bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
