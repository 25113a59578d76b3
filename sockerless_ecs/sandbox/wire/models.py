"""botocore's service models: which operation a request names, and its shapes."""

from __future__ import annotations

import re
from typing import Any

import botocore.session

SERVICES = ("ecs", "logs", "ecr", "ec2", "efs", "sts", "servicediscovery", "secretsmanager")
"""Every service that the sandbox speaks."""

# How a service says that the request itself is wrong; (code, HTTP status).
_INVALID = {
    "ecs": ("InvalidParameterException", 400),
    "logs": ("InvalidParameterException", 400),
    "ecr": ("InvalidParameterException", 400),
    "ec2": ("InvalidParameterValue", 400),
    "efs": ("ValidationException", 400),
    "sts": ("ValidationError", 400),
    "servicediscovery": ("InvalidInput", 400),
    "secretsmanager": ("ValidationException", 400),
}
# How a service says that it is asked too often.
_THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503, "Request limit exceeded."),
    "sts": ("Throttling", 400, "Rate exceeded"),
    "efs": ("ThrottlingException", 429, "Rate exceeded"),
}


class Models:
    """The models of `SERVICES`, read once."""

    def __init__(self) -> None:
        session = botocore.session.Session()
        self._services: dict[str, Any] = {name: session.get_service_model(name) for name in SERVICES}
        self._by_target = {
            model.metadata["targetPrefix"]: name
            for name, model in self._services.items()
            if "targetPrefix" in model.metadata
        }
        self._by_version = {
            model.metadata["apiVersion"]: name
            for name, model in self._services.items()
            if model.metadata["protocol"] in ("query", "ec2")
        }
        self._rest = [self._route(name) for name in self._services["efs"].operation_names]

    def protocol(self, service: str) -> str:
        """`json`, `rest-json`, `query` or `ec2`."""
        protocol: str = self._services[service].resolved_protocol
        return protocol

    def of_target(self, target: str) -> tuple[str, str] | None:
        """The service and operation that an X-Amz-Target header names."""
        prefix, _, operation = target.rpartition(".")
        service = self._by_target.get(prefix)
        return (service, operation) if service else None

    def of_version(self, version: str) -> str | None:
        """The query service whose API version this is."""
        return self._by_version.get(version)

    def of_path(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """The EFS operation of a method and path, with the labels in the path."""
        for verb, pattern, operation in self._rest:
            if verb == method and (found := pattern.fullmatch(path)):
                return operation, found.groupdict()
        return None

    def operation(self, service: str, operation: str) -> Any | None:
        """The botocore operation model, if the service has it."""
        model = self._services[service]
        return model.operation_model(operation) if operation in model.operation_names else None

    def invalid(self, service: str) -> tuple[str, int]:
        """Error code and status for a request that breaks its shape."""
        return _INVALID[service]

    def throttled(self, service: str) -> tuple[str, int, str]:
        """Error code, status and message for too many requests."""
        return _THROTTLED.get(service, ("ThrottlingException", 400, "Rate exceeded"))

    def _route(self, operation: str) -> tuple[str, re.Pattern[str], str]:
        http = self._services["efs"].operation_model(operation).http
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"].split("?")[0]))
        return http["method"], re.compile(path), operation
