"""Messages to the user: in the panel, or in a notification if the panel is not visible."""

from __future__ import annotations

import logging
import sys

from napari.utils.notifications import show_error, show_info, show_warning

from napari_sam.engine import ModelError, SamError
from napari_sam.installation import qt_warning, rival_distribution, rival_warning
from napari_sam.plugin.panels.status import StatusPanel
from napari_sam.plugin.work.jobs import Job, Worker

RIVAL = "rival"  # job slot

log = logging.getLogger(__name__)


class Messages:
    """Errors and notices of the whole window.

    Parameters
    ----------
    status
        Where they are read.
    """

    def __init__(self, status: StatusPanel) -> None:
        self._status = status

    def tell(self, error: Exception) -> None:
        """Say in the panel what the user can fix, and in a notification what is not seen there."""
        if isinstance(error, SamError):
            self._status.show_idle(f"⚠ {error}")
            if isinstance(error, ModelError):
                show_error(str(error))
            elif self._status.visibleRegion().isEmpty():
                show_warning(str(error))
            return
        self._status.show_idle("Something went wrong; see the notification.")
        log.error("unexpected error", exc_info=error)
        show_error(f"{type(error).__name__}: {error}. Your annotations so far are kept.")

    def inform(self, sentence: str, is_warning: bool) -> None:
        """Show a sentence as a notification."""
        (show_warning if is_warning else show_info)(sentence)

    def check_installation(self, worker: Worker) -> None:
        """Warn of another package of the same import name, and of a Qt that crashes."""

        def warn(rival: str | None) -> None:
            if rival is not None:
                show_warning(rival_warning(rival))

        worker.submit(Job(RIVAL, lambda report: rival_distribution(), warn, self.tell))
        if warning := qt_warning(getattr(sys.modules.get("PySide6"), "__version__", "")):
            show_warning(warning)
