"""Where the trials of a search live: a journal file, SQLite or PostgreSQL; and what makes a study ours."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import StudyDirection
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

import lutnet
from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.search.journal import JournalFile
from lutnet.search.space import SearchSpace
from lutnet.train.data import Dataset

__all__ = [
    "FOLDER_FILE",
    "JOURNAL",
    "Identity",
    "check_folder",
    "identity_of",
    "mark_folder",
    "open_storage",
    "open_study",
    "reference_cost",
    "store_errors",
]

JOURNAL = "study.journal"
"""Name of the journal in the folder of a search."""

FOLDER_FILE = "study.json"
"""Name of the file in the folder of a search that says what is searched."""

_ATTRIBUTE = "lutnet"
_DRIVERS = {"postgresql": "postgresql+psycopg"}
_TIMEOUT_S = 20
_ATTEMPTS = 6


@dataclass(frozen=True)
class Identity:
    """What workers of one study must have in common.

    Attributes:
        space: The search space, without the objective.
        objective: How trials are judged.
        data: Checksum and sizes of the data set.
        version: Versions of lutnet that may work together.
    """

    space: Mapping[str, Any]
    objective: Mapping[str, Any]
    data: Mapping[str, Any]
    version: str

    def difference(self, other: Mapping[str, Any]) -> str | None:
        """What of the other is not equal, in words."""
        mine = json.loads(json.dumps(asdict(self)))
        for part, name in (("data", "data set"), ("space", "search space"), ("objective", "objective")):
            theirs = other.get(part)
            if mine[part] != theirs:
                return f"another {name} ({_first_difference(mine[part], theirs)})"
        if mine["version"] != other.get("version"):
            return f"lutnet {other.get('version')}, this is {self.version}"
        return None


def identity_of(space: SearchSpace, dataset: Dataset) -> Identity:
    """The identity of a search on a data set; the test set does not matter."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation):
        digest.update(split.x.tobytes())
        digest.update(split.y.tobytes())
    digest.update(json.dumps([dataset.feature_names, dataset.class_names]).encode())
    data = {
        "name": dataset.name,
        "train_rows": dataset.train.n_rows,
        "validation_rows": dataset.validation.n_rows,
        "sha256": digest.hexdigest()[:16],
    }
    major, minor, *_ = lutnet.__version__.split(".")
    return Identity(space.to_json(), asdict(space.objective), data, f"0.{minor}" if major == "0" else major)


def check_folder(folder: Path, identity: Identity) -> None:
    """Refuses a folder with the trials of another search.

    Raises:
        UserError: The folder is of another search; nothing has been written.
    """
    path = folder / FOLDER_FILE
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text())
        difference = identity.difference(found)
        name = found["space"]["name"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged or of another program; choose another --out") from None
    if difference is not None:
        raise UserError(
            f"the folder {folder} holds the trials of the search '{name}', begun with {difference}; choose another --out"
        )


def mark_folder(folder: Path, identity: Identity) -> None:
    """Writes down whose trials the folder holds."""
    write_text(folder / FOLDER_FILE, json.dumps(asdict(identity), indent=2) + "\n")


def open_storage(where: str | None, folder: Path) -> BaseStorage:
    """Opens a store without writing to it, unless it is an empty database, which gets its tables.

    Args:
        where: ``sqlite:///FILE``, ``postgresql://...`` or the name of a journal file; ``None`` for the one in the folder.
        folder: Folder of the search.

    Raises:
        UserError: The store cannot be reached, is somebody else's, or needs a driver that is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if where is None or "://" not in where:
        journal = JournalFile(folder / JOURNAL if where is None else Path(where))
        with store_errors(str(journal.path)), _quiet():
            return JournalStorage(journal)
    url = _checked_url(where)
    shown = url.render_as_string(hide_password=True)
    postgres = url.drivername.startswith("postgresql")
    arguments = {"connect_timeout": _TIMEOUT_S} if postgres else {"timeout": _TIMEOUT_S}
    with store_errors(shown), _quiet():
        return _open_database(url, arguments, shown)


def open_study(storage: BaseStorage, identity: Identity, *, reference: float, where: str) -> optuna.Study:
    """Joins the study of the search, or begins it where the store has none of that name.

    Args:
        storage: The store.
        identity: Of this search.
        reference: Reference cost that a new study is given.
        where: Name of the store in messages.

    Raises:
        UserError: The study of that name is of another search; nothing has been written.
    """
    name = str(identity.space["name"])
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][
        : 1 if identity.objective["mode"] == "forgiving" else 2
    ]
    with store_errors(where), _quiet():
        known = {summary.study_name for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)}
        created = name not in known
        if created:
            with contextlib.suppress(DuplicatedStudyError):
                optuna.create_study(study_name=name, storage=storage, directions=directions)
        study = optuna.load_study(study_name=name, storage=storage)
        found = study.user_attrs.get(_ATTRIBUTE)
        if found is None and (created or not study.get_trials(deepcopy=False)):
            found = {**json.loads(json.dumps(asdict(identity))), "reference_cost": reference}
            study.set_user_attr(_ATTRIBUTE, found)
    if not isinstance(found, Mapping):
        raise UserError(
            f"the study '{name}' in {where} was not made by lutnet; choose another --storage or name of the space"
        )
    difference = identity.difference(found)
    if difference is not None:
        raise UserError(
            f"the study '{name}' in {where} was begun with {difference}; join it with the same, or choose another folder, "
            "--storage or name of the space"
        )
    return study


def reference_cost(study: optuna.Study) -> float:
    """The reference cost that the study was begun with."""
    return float(study.user_attrs[_ATTRIBUTE]["reference_cost"])


@contextlib.contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Turns what a store raises into one sentence.

    Raises:
        UserError: The store failed.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = (str(getattr(cause, "orig", None) or cause).strip().splitlines() or [type(cause).__name__])[0][:200]
        raise UserError(f"cannot use the store {where}: {reason}; check its address, and that it is running") from None
    except RuntimeError as error:
        if "optuna" not in str(error).lower():
            raise
        raise UserError(f"cannot use the store {where}: {' '.join(str(error).split())[:200]}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's notes on features that may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _checked_url(where: str) -> URL:
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise UserError(
            f"a store is a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE, got '{where}'"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UserError(
            f"a store is a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE, got a database of kind '{url.drivername}'"
        )
    if url.get_backend_name() == "sqlite" and not url.database:
        raise UserError("a store in memory cannot be shared; name a file as in sqlite:///search.db")
    return url


def _open_database(url: URL, arguments: Mapping[str, Any], shown: str) -> RDBStorage:
    """Opens a database; workers that find an empty one at the same time all make its tables, and all but one try again."""
    options = {"connect_args": dict(arguments), "pool_pre_ping": True}
    for attempt in range(_ATTEMPTS):
        tables = _tables(url, arguments, shown)
        if tables and "studies" not in tables:
            raise UserError(
                f"the store {shown} holds tables of another program ({', '.join(sorted(tables)[:3])}); name an empty database or "
                "one of an earlier search"
            )
        try:
            return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
        except SQLAlchemyError:
            if "trial_heartbeats" in tables or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.3 * (attempt + 1))
    raise AssertionError("the last attempt returns or raises")


def _tables(url: URL, arguments: Mapping[str, Any], shown: str) -> set[str]:
    """Names of the tables of a database, none for a file that does not exist.

    Raises:
        UserError: It cannot be reached.
    """
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        if not path.exists():
            if not path.parent.is_dir():
                raise UserError(f"there is no folder {path.parent} for the store {shown}; make it first")
            return set()
    try:
        engine = create_engine(url, connect_args=dict(arguments))
    except (ImportError, NoSuchModuleError):
        raise UserError(
            f"the store {shown} needs a driver that is not installed; install it with pip install 'lutnet[postgresql]'"
        ) from None
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _first_difference(mine: Any, theirs: Any, at: str = "") -> str:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in [*mine, *theirs]:
            if mine.get(key) != theirs.get(key):
                return _first_difference(mine.get(key), theirs.get(key), f"{at}.{key}" if at else str(key))
    return f"{at or 'all of it'} was {_short(theirs)}, here it is {_short(mine)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
