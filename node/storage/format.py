"""The format version of a store: one line in a file named FORMAT, read before anything else."""

from pathlib import Path

from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.storage.files import Files, read_whole, write_whole

FILE_NAME = "FORMAT"

REMEDY = "Restore the file from a backup of this directory, or move the directory away"


def check_format(files: Files, directory: Path, kind: str, supported: int) -> int:
    """The version that the directory has. A new directory is made, with the supported version.

    Raises:
        NewerFormatError: the version is newer; nothing was changed.
        CorruptLedgerError: the directory holds something else.
    """
    path = directory / FILE_NAME
    if not files.exists(path):
        others = [name for name in files.list(directory) if not name.startswith(FILE_NAME)]
        if others:
            reason = f"missing, but the directory holds {', '.join(others[:3])}"
            raise CorruptLedgerError(str(path), reason, REMEDY)
        files.make_dirs(directory)
        write_whole(files, path, f"tongban {kind} {supported}\n".encode())
        files.sync_dir(directory.parent)
        return supported
    words = read_whole(files, path).decode("ascii", "replace").split()
    if words[:2] != ["tongban", kind] or len(words) != 3 or not words[2].isdigit():
        reason = f"expected 'tongban {kind} {supported}', found {' '.join(words)!r}"
        raise CorruptLedgerError(str(path), reason, REMEDY)
    found = int(words[2])
    if found > supported:
        raise NewerFormatError(str(path), supported, found)
    return found
