"""What a run of a command was: what it was asked, what it read, how it ended, what it wrote."""

from nas.runs.handle import RunHandle
from nas.runs.records import Artefact, RunRecord, RunSummary, Status
from nas.runs.store import RunStore, database_url, installed_versions, is_run_id, resume_words
from nas.runs.tables import Tables

__all__ = [
    "Artefact", "RunHandle", "RunRecord", "RunStore", "RunSummary", "Status", "Tables", "database_url",
    "installed_versions", "is_run_id", "resume_words",
]  # fmt: skip
