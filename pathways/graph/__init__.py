"""The path graph: what it holds, where its boxes and lines stand, and its pictures."""

from .build import graph_of, graph_of_path, newest, path_graph, plain_graph
from .filters import at_depths, matching, only_tasks, until, used_by
from .node_link import graph_from_json, graph_to_json

__all__ = [
    "at_depths",
    "graph_from_json",
    "graph_of",
    "graph_of_path",
    "graph_to_json",
    "matching",
    "newest",
    "only_tasks",
    "path_graph",
    "plain_graph",
    "until",
    "used_by",
]
