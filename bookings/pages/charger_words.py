"""How a command to a charger went, and how its settings stand, in words for who looks after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from depots.commissioning.findings import Finding
from depots.models import ChargerCommand, SettingsCheck

State = ChargerCommand.State

STATES = {
    State.QUEUED: "Waits",
    State.SENT: "Asked",
    State.ANSWERED: "Answered",
    State.UNCLEAR: "No answer",
    State.STALE: "Not sent",
}
ANSWERS = {
    "accepted": "Yes",
    "rejected": "Refused",
    "scheduled": "Yes, once it is idle",
    "unlocked": "Unlocked",
    "unlock_failed": "It could not unlock",
    "occupied": "In use",
    "faulted": "Out of order",
    "unavailable": "Out of service",
    "not_supported": "It cannot do this",
    "error": "An error",
    "ongoing_authorized_transaction": "A session still runs there",
    "unknown_connector": "It has no such connector",
    "reboot_required": "Yes, after a restart",
    "accepted_canceled": "Yes; what it did before is given up",
    "invalid_certificate": "It does not accept the certificate",
    "revoked_certificate": "The certificate was revoked",
    "empty_result_set": "It has nothing to tell",
    "nothing_to_send": "It has no log to send",
    "unknown": "It has none",
}
# Words of its own for how far it is (Diagnostics-, Log- and FirmwareStatusNotification), and how good that is.
PROGRESS = {
    "Reported": ("It has told all", "success"),
    "Uploading": ("Sending", "info"),
    "Uploaded": ("Sent", "success"),
    "UploadFailed": ("It could not send it", "danger"),
    "UploadFailure": ("It could not send it", "danger"),
    "BadMessage": ("It did not understand where to", "danger"),
    "NotSupportedOperation": ("It cannot send that way", "danger"),
    "PermissionDenied": ("It was not let in there", "danger"),
    "AcceptedCanceled": ("Given up for a newer one", "warning"),
    "Downloading": ("Fetching", "info"),
    "DownloadScheduled": ("Fetches it later", "info"),
    "DownloadPaused": ("Fetching rests", "info"),
    "Downloaded": ("Fetched", "info"),
    "DownloadFailed": ("It could not fetch it", "danger"),
    "SignatureVerified": ("Signature is right", "info"),
    "InvalidSignature": ("Signature is wrong: not installed", "danger"),
    "InstallScheduled": ("Installs it later", "info"),
    "Installing": ("Installing", "info"),
    "InstallRebooting": ("Restarting to install", "info"),
    "Installed": ("Installed", "success"),
    "InstallationFailed": ("It could not install it", "danger"),
    "InstallVerificationFailed": ("What it fetched is broken: not installed", "danger"),
}
SETTING_ANSWERS = {
    "accepted": "It said yes, and has not done it",
    "rejected": "It refuses",
    "reboot_required": "Waits for a restart",
    "not_supported": "It cannot be set",
    "unknown": "It has none of this name",
    "error": "An error",
}


@dataclass(frozen=True)
class CommandLine:
    """A row of the last commands."""

    command: ChargerCommand
    state: str
    answer: str
    level: str
    detail: str
    has_file: bool


def command_lines(commands: Iterable[ChargerCommand]) -> list[CommandLine]:
    """Of commands with their uploads loaded."""
    return [_line(command) for command in commands]


def _line(command: ChargerCommand) -> CommandLine:
    word, level = ANSWERS.get(command.answer, command.answer.replace("_", " ").capitalize()), ""
    if command.progress:
        word, level = PROGRESS.get(command.progress, (command.progress, "info"))
    upload = getattr(command, "upload", None)
    return CommandLine(
        command=command,
        state=STATES[State(command.state)],
        answer=word,
        level=level,
        detail=_detail(command),
        has_file=upload is not None and upload.received_at is not None,
    )


def _detail(command: ChargerCommand) -> str:
    """What it added, but no figures that are shown elsewhere in words."""
    text = command.shown_answer_text
    is_figures = text.startswith(("{", "[")) and command.action != ChargerCommand.Action.GET_CONFIGURATION
    return "" if is_figures else text


@dataclass(frozen=True)
class SettingLine:
    """A row of the settings: what is told, what is wanted and why, and what it said when it was to be changed."""

    key: str
    told: str
    wanted: str
    why: str
    state: str
    note: str


def setting_lines(found: Iterable[Finding]) -> list[SettingLine]:
    """What differs first."""
    lines = [
        SettingLine(
            key=each.wanted.key, told=_told(each), wanted=each.wanted.value, why=each.wanted.why, state=each.state,
            note=_note(each),
        )
        for each in found
    ]  # fmt: skip
    return sorted(lines, key=lambda line: line.state != "differs")


def _told(finding: Finding) -> str:
    if finding.told is not None:
        return finding.told or "empty"
    return "It has none" if finding.state == "unknown" else "Not told"


def _note(finding: Finding) -> str:
    if finding.state != "differs":
        return ""
    if finding.is_readonly:
        return "It can only be read"
    answer: Any = finding.answer
    if answer is None or (answer["answer"] == "accepted" and not finding.is_since_boot):
        return ""  # it did it, and forgot it with a restart
    word = SETTING_ANSWERS.get(answer["answer"], answer["answer"])
    return f"{word}: {answer['text']}" if answer["text"] else word


STAGES = {
    SettingsCheck.Stage.READING: "Reading its settings",
    SettingsCheck.Stage.CHANGING: "Changing what differs",
    SettingsCheck.Stage.CLEARING: "Clearing its cache of cards",
    SettingsCheck.Stage.CHECKING: "Reading them again",
    SettingsCheck.Stage.BROKEN_OFF: "The connection broke while they were read",
}
