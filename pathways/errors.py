"""The errors users meet. Each says in one sentence what was expected, what was found and what to do."""

from __future__ import annotations


class PathwaysError(Exception):
    """Bad input or a state that cannot be worked with; the command line prints it and exits with status 2."""


class ConfigError(PathwaysError):
    """A configuration file or command-line argument that is not valid."""


class UsageError(PathwaysError):
    """A command line that cannot be understood: an unknown command or option, or one that is missing."""


class DataError(PathwaysError):
    """Data that a task cannot be made from."""


class PathError(PathwaysError):
    """A path that is not valid: ports that do not fit, reads that do not exist."""


class BlobError(PathwaysError):
    """A blob that is missing, truncated or not what its name says."""


class StorageError(PathwaysError):
    """Storage that cannot be read or written, or that another driver is writing to."""


class LedgerError(PathwaysError):
    """A ledger that cannot be used: another writer, another format, other numerics."""


class HeldError(LedgerError):
    """A lease that another process holds, or has taken over from this one."""


class KnownError(DataError):
    """A task that is learned already."""


class EngineError(PathwaysError):
    """Workers that cannot be started or that keep dying."""


class TeamError(EngineError):
    """Ranks that train one candidate together and have lost each other, or were given different work."""


class ForgettingError(PathwaysError):
    """A champion that no longer is what it was when it was frozen; `differs` lists task, module and what."""

    def __init__(self, message: str, differs: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.differs = differs

    def __reduce__(self) -> tuple[type[ForgettingError], tuple[str, list[dict[str, str]]]]:
        return type(self), (str(self), self.differs)  # so that it survives the way from one process to another
