"""Watching: metrics for Prometheus, and a line of JSON for each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from edgekit.serve.model import Job, ServedModel

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_LONGEST = 200


@dataclass
class Seen:
    """What is known of one request when it was answered.

    Attributes:
        model: its name; "" where the request is of none that there is.
        seconds: from its head to the last byte of the answer.
        job: of an inference that was queued.
    """

    method: str
    path: str
    model: str
    status: int
    seconds: float
    received: int
    client: str
    error: str
    job: Job | None


def _waiting(model: ServedModel) -> float:
    return model.waiting


class Watch:
    """Counts what a server does, and writes a line for each request.

    Args:
        write: takes a line.
    """

    def __init__(
        self, models: Mapping[str, ServedModel], write: Callable[[str], None] | None
    ) -> None:
        self._write = write
        self.registry: CollectorRegistry = CollectorRegistry()
        self._requests = Counter(
            "edgekit_requests",
            "Requests answered",
            ["model", "status"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "edgekit_request_seconds",
            "Time from the head of an inference request to its answer",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._queued = Histogram(
            "edgekit_queue_seconds",
            "Time that inferences waited",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "edgekit_batch_samples",
            "Samples that were run together",
            ["model"],
            buckets=(1, 2, 4, 8, 16),
            registry=self.registry,
        )
        waiting = Gauge(
            "edgekit_queue_length", "Inferences that wait", ["model"], registry=self.registry
        )
        for name, model in models.items():
            waiting.labels(name).set_function(partial(_waiting, model))

    def __call__(self, seen: Seen) -> None:
        self._requests.labels(seen.model, str(seen.status)).inc()
        job = seen.job
        if job is not None and job.started:
            self._latency.labels(seen.model).observe(seen.seconds)
            self._queued.labels(seen.model).observe(job.started - job.queued)
            if job.batch:
                self._batch.labels(seen.model).observe(job.batch)
        if self._write is not None:
            self._write(json.dumps(_line(seen)))

    def exposition(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self.registry)


def _line(seen: Seen) -> dict[str, Any]:
    """What is logged of a request."""
    line: dict[str, Any] = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "client": seen.client,
        "method": seen.method[:16],
        "path": seen.path[:_LONGEST],
        "status": seen.status,
        "ms": round(seen.seconds * 1000, 3),
        "received_bytes": seen.received,
    }
    if seen.model:
        line["model"] = seen.model
    job = seen.job
    if job is not None and job.started:
        line["queue_ms"] = round((job.started - job.queued) * 1000, 3)
        if job.batch:
            line["batch"] = job.batch
    if seen.error:
        line["error"] = seen.error[:_LONGEST]
    return line
