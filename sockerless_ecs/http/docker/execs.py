"""Execs on the Docker Engine API."""

from __future__ import annotations

from sockerless_ecs.http.handlers import execs
from sockerless_ecs.http.route import Route
from sockerless_ecs.http.shapes.exec import ExecCreateBody, ExecCreatedView, ExecStartBody, ExecView

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/containers/<ref:ref>/exec",
        operation="ContainerExec",
        summary="Register one more process in a container",
        handle=execs.create,
        body=ExecCreateBody,
        answer=ExecCreatedView,
        status=201,
    ),
    Route(
        method="POST",
        path="/exec/<ref:ref>/start",
        operation="ExecStart",
        summary="Run a process, on this connection or detached",
        handle=execs.start,
        body=ExecStartBody,
        status=101,
    ),
    Route(
        method="POST",
        path="/exec/<ref:ref>/resize",
        operation="ExecResize",
        summary="Resize a process's terminal",
        handle=execs.resize,
        query=("h", "w"),
    ),
    Route(
        method="GET",
        path="/exec/<ref:ref>/json",
        operation="ExecInspect",
        summary="Inspect a process",
        handle=execs.inspect,
        answer=ExecView,
    ),
)
