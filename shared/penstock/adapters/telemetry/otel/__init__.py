"""Telemetry through the OpenTelemetry SDK. Loaded only where an operator asked for it (extra ``otel``).

semantics.py    fields of steps -> attributes by OpenTelemetry's semantic conventions
instruments.py  the metrics: names, units, buckets, labels (data, nothing imported)
measuring.py    records -> measurements
telemetry.py    OtelTelemetry: steps as spans, records as events and measurements
pipeline.py     providers, exporters, flushing within bounds
"""
