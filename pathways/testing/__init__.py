"""Conformance suites: inherit one in a test file, name what it is about, and its checks run.

>>> import pathways.testing
>>> pathways.testing.ModuleFamilySuite.__name__
'ModuleFamilySuite'
"""

from .affinity_co_training import CoTrainingEstimatorSuite
from .affinity_matrix import MatrixEstimatorSuite
from .affinity_transfer import TransferabilitySuite
from .delta_family import DeltaFamilySuite
from .module_family import ModuleFamilySuite
from .strategy import StrategySuite
from .task_source import TaskSourceSuite

__all__ = [
    "CoTrainingEstimatorSuite", "DeltaFamilySuite", "MatrixEstimatorSuite", "ModuleFamilySuite", "StrategySuite",
    "TaskSourceSuite", "TransferabilitySuite",
]
