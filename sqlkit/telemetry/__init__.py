"""What a Database counts, for those who watch it: as Prometheus text, as OpenTelemetry's spans and metrics.

``prometheus`` needs the extra of that name, ``otel`` its own; each is imported where it is used.
"""
