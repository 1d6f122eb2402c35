"""The one table of benchmarks: a name, and the function that gives its rows."""

from __future__ import annotations

from collections.abc import Mapping

# Each function takes the number of pairs and yields `Row`s.
BENCHMARKS: Mapping[str, str] = {
    "pathnet-population": "pathways.experiments.benchmarks.pathnet_rows:population",
    "fitness-of-paths": "pathways.experiments.benchmarks.pathnet_rows:fitness",
    "mlps-two-cores": "pathways.experiments.benchmarks.mlp_rows:mlps",
    "data-parallel": "pathways.experiments.benchmarks.team_rows:data_parallel",
    "ray-two-workers": "pathways.experiments.benchmarks.ray_rows:two_workers",
    "ray-trivial": "pathways.experiments.benchmarks.ray_rows:trivial",
    "ray-pathnet": "pathways.experiments.benchmarks.ray_rows:pathnet",
    "ray-frozen": "pathways.experiments.benchmarks.ray_rows:frozen",
    "frozen-trunk": "pathways.experiments.benchmarks.trunk_rows:frozen_trunk",
    "quickstart-stream": "pathways.experiments.benchmarks.stream:independent",
    "quickstart-stream-finetuned": "pathways.experiments.benchmarks.stream:finetuned",
    "plain-epoch": "pathways.experiments.benchmarks.epoch_rows:epoch",
    "stack-memory": "pathways.experiments.benchmarks.memory_rows:memory",
    "trace-cost": "pathways.experiments.benchmarks.trace_rows:cost",
    "import": "pathways.experiments.benchmarks.fresh:import_time",
    "help": "pathways.experiments.benchmarks.fresh:help_time",
    "show": "pathways.experiments.benchmarks.fresh:show_time",
    "report": "pathways.experiments.benchmarks.page_rows:report",
    "predict-latency": "pathways.experiments.benchmarks.latency:predict_latency",
    "export-latency": "pathways.experiments.benchmarks.latency:export_latency",
    "gpu-population": "pathways.experiments.benchmarks.gpu:rows",
    "growth": "pathways.experiments.benchmarks.growth:rows",
    "affinity-cost": "pathways.experiments.benchmarks.affinity_rows:cost",
    "exact-choice": "pathways.experiments.benchmarks.grouping_rows:exact_choices",
}
